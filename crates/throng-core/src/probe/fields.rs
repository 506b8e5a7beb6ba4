//! Structures of numbers and switches that cross the wire as `name=value` words.

/// Declares a structure of `u64` and `bool` fields with its text form. Fields that a text lacks are 0 and false: the other
/// end may be of another version.
macro_rules! fields {
    (
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$number_doc:meta])* $number:ident: u64,)*
            ---
            $($(#[$switch_doc:meta])* $switch:ident: bool,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
        pub struct $name {
            $($(#[$number_doc])* pub $number: u64,)*
            $($(#[$switch_doc])* pub $switch: bool,)*
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut gap = "";
                $(
                    write!(f, "{gap}{}={}", stringify!($number), self.$number)?;
                    gap = " ";
                )*
                $(
                    write!(f, "{gap}{}={}", stringify!($switch), u8::from(self.$switch))?;
                    gap = " ";
                )*
                let _ = gap;
                Ok(())
            }
        }

        impl $name {
            /// Reads the words that belong to it; `None` if one has no number.
            pub(super) fn read<'a>(words: impl Iterator<Item = &'a str>) -> Option<$name> {
                let mut all = $name::default();
                for word in words {
                    let (name, value) = word.split_once('=')?;
                    let value: u64 = value.parse().ok()?;
                    match name {
                        $(stringify!($number) => all.$number = value,)*
                        $(stringify!($switch) => all.$switch = value != 0,)*
                        _ => {}
                    }
                }
                Some(all)
            }
        }
    };
}

pub(super) use fields;
