//! Reason codes (MQTT 5.0, section 2.4), and the return codes of MQTT 3.1.1 that mean the same.

use crate::stats::kinds;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $code:literal: $name:literal, $words:literal;)*) => {
        kinds! {
            /// How something went, in the order of counts and reports.
            pub enum Reason {
                $($(#[$doc])* $variant: $name, $words;)*
                /// A code that MQTT 5.0 does not have.
                Other: "other", "unknown reason";
            }
        }

        impl Reason {
            /// The reason with this code.
            pub fn of(code: u8) -> Reason {
                match code {
                    $($code => Reason::$variant,)*
                    _ => Reason::Other,
                }
            }
        }

        #[cfg(test)]
        const CODES: &[(u8, Reason)] = &[$(($code, Reason::$variant)),*];
    };
}

reasons! {
    /// It went well. For a subscription: messages arrive at most once.
    Success 0x00: "success", "success";
    /// The subscription was granted with QoS 1.
    Granted1 0x01: "granted_qos_1", "granted QoS 1";
    /// The subscription was granted with QoS 2.
    Granted2 0x02: "granted_qos_2", "granted QoS 2";
    /// The peer leaves, and its will is to be published.
    WithWill 0x04: "disconnect_with_will", "disconnected with will";
    /// Nobody has subscribed to the message's topic.
    NoSubscribers 0x10: "no_matching_subscribers", "no matching subscribers";
    /// There was no such subscription.
    NoSubscription 0x11: "no_subscription_existed", "no subscription existed";
    /// The authentication goes on.
    Continue 0x18: "continue_authentication", "continue authentication";
    /// Another authentication.
    Again 0x19: "re_authenticate", "re-authenticate";
    /// An error that is not named. Of MQTT 3.1.1: the subscription was refused.
    Unspecified 0x80: "unspecified_error", "unspecified error";
    /// What was received can't be parsed.
    Malformed 0x81: "malformed_packet", "malformed packet";
    /// What was received was not allowed.
    ProtocolError 0x82: "protocol_error", "protocol error";
    /// An error of the server's own.
    Implementation 0x83: "implementation_specific_error", "implementation specific error";
    /// The server does not speak this version.
    Version 0x84: "unsupported_protocol_version", "unsupported protocol version";
    /// The client identifier is not allowed.
    ClientId 0x85: "client_identifier_not_valid", "client identifier not valid";
    /// The user name or the password is wrong.
    Password 0x86: "bad_user_name_or_password", "bad user name or password";
    /// The client may not do this.
    NotAuthorized 0x87: "not_authorized", "not authorized";
    /// The server can't be used.
    Unavailable 0x88: "server_unavailable", "server unavailable";
    /// The server is busy.
    Busy 0x89: "server_busy", "server busy";
    /// The client is banned.
    Banned 0x8a: "banned", "banned";
    /// The server is shutting down.
    ShuttingDown 0x8b: "server_shutting_down", "server shutting down";
    /// The authentication method is not supported.
    Method 0x8c: "bad_authentication_method", "bad authentication method";
    /// Nothing was heard from the client for too long.
    KeepAlive 0x8d: "keep_alive_timeout", "keep alive timeout";
    /// Another connection has the same client identifier.
    TakenOver 0x8e: "session_taken_over", "session taken over";
    /// The topic filter is not allowed.
    FilterInvalid 0x8f: "topic_filter_invalid", "topic filter invalid";
    /// The topic is not allowed.
    TopicInvalid 0x90: "topic_name_invalid", "topic name invalid";
    /// The packet identifier is in use.
    IdInUse 0x91: "packet_identifier_in_use", "packet identifier in use";
    /// The packet identifier is unknown.
    IdUnknown 0x92: "packet_identifier_not_found", "packet identifier not found";
    /// More messages were under way than allowed.
    ReceiveMaximum 0x93: "receive_maximum_exceeded", "receive maximum exceeded";
    /// The topic alias is not allowed.
    Alias 0x94: "topic_alias_invalid", "topic alias invalid";
    /// The packet was too large.
    TooLarge 0x95: "packet_too_large", "packet too large";
    /// Messages came too fast.
    RateTooHigh 0x96: "message_rate_too_high", "message rate too high";
    /// A quota is exceeded.
    Quota 0x97: "quota_exceeded", "quota exceeded";
    /// An administrator's action.
    Administrative 0x98: "administrative_action", "administrative action";
    /// The payload is not of the format that was named.
    Format 0x99: "payload_format_invalid", "payload format invalid";
    /// The server retains no messages.
    Retain 0x9a: "retain_not_supported", "retain not supported";
    /// The server does not support this QoS.
    Qos 0x9b: "qos_not_supported", "QoS not supported";
    /// Another server is to be used for now.
    UseAnother 0x9c: "use_another_server", "use another server";
    /// Another server is to be used from now on.
    Moved 0x9d: "server_moved", "server moved";
    /// The server has no shared subscriptions.
    Shared 0x9e: "shared_subscriptions_not_supported", "shared subscriptions not supported";
    /// Connections came too fast.
    ConnectionRate 0x9f: "connection_rate_exceeded", "connection rate exceeded";
    /// The connection has lasted as long as it may.
    ConnectTime 0xa0: "maximum_connect_time", "maximum connect time";
    /// The server has no subscription identifiers.
    SubscriptionIds 0xa1: "subscription_identifiers_not_supported", "subscription identifiers not supported";
    /// The server has no subscriptions with wildcards.
    Wildcards 0xa2: "wildcard_subscriptions_not_supported", "wildcard subscriptions not supported";
}

impl Reason {
    /// The reason of a return code of MQTT 3.1.1's CONNACK (section 3.2.2.3).
    pub fn of_return_code(code: u8) -> Reason {
        match code {
            0 => Reason::Success,
            1 => Reason::Version,
            2 => Reason::ClientId,
            3 => Reason::Unavailable,
            4 => Reason::Password,
            5 => Reason::NotAuthorized,
            _ => Reason::Other,
        }
    }

    /// Whether it is an error.
    pub fn is_error(self) -> bool {
        self >= Reason::Unspecified
    }
}

macro_rules! reasons_of {
    ($($(#[$doc:meta])* $Packet:ident [$($variant:ident),* $(,)?];)*) => {$(
        $(#[$doc])*
        pub struct $Packet;

        impl $Packet {
            /// Those that it may have, the likeliest first, and [`Reason::Other`].
            pub const ALL: [Reason; [$(Reason::$variant),*].len() + 1] =
                [$(Reason::$variant,)* Reason::Other];

            /// The place of a reason among them.
            #[inline]
            pub(super) fn place(reason: Reason) -> usize {
                let all = &$Packet::ALL;
                let place = all.iter().position(|one| *one == reason);
                place.unwrap_or(all.len() - 1)
            }
        }
    )*};
}

reasons_of! {
    /// Reasons of CONNACK (MQTT 5.0, section 3.2.2.2).
    OfConnack [
        Success, Unspecified, Malformed, ProtocolError, Implementation, Version, ClientId, Password, NotAuthorized,
        Unavailable, Busy, Banned, Method, TopicInvalid, TooLarge, Quota, Format, Retain, Qos, UseAnother, Moved,
        ConnectionRate,
    ];
    /// Reasons of SUBACK (section 3.9.3).
    OfSuback [
        Success, Granted1, Granted2, Unspecified, Implementation, NotAuthorized, FilterInvalid, IdInUse, Quota, Shared,
        SubscriptionIds, Wildcards,
    ];
    /// Reasons of PUBACK, PUBREC and PUBCOMP (sections 3.4.2.1, 3.5.2.1 and 3.7.2.1); and that the message is too large, which
    /// mosquitto says here, too.
    OfAck [
        Success, NoSubscribers, Unspecified, Implementation, NotAuthorized, TopicInvalid, IdInUse, IdUnknown, Quota,
        Format, TooLarge,
    ];
    /// Reasons of DISCONNECT (section 3.14.2.1).
    OfDisconnect [
        Success, WithWill, Unspecified, Malformed, ProtocolError, Implementation, NotAuthorized, Busy, ShuttingDown,
        KeepAlive, TakenOver, FilterInvalid, TopicInvalid, ReceiveMaximum, Alias, TooLarge, RateTooHigh, Quota,
        Administrative, Format, Retain, Qos, UseAnother, Moved, Shared, ConnectionRate, ConnectTime, SubscriptionIds,
        Wildcards,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_from_0x80_on_are_errors() {
        for (code, reason) in CODES {
            assert_eq!(Reason::of(*code), *reason);
            assert_eq!(reason.is_error(), *code >= 0x80, "{reason:?}");
        }
        assert_eq!(CODES.len() + 1, Reason::ALL.len());
        assert_eq!(Reason::of(0x7f), Reason::Other);
        assert!(Reason::Other.is_error());
    }
}
