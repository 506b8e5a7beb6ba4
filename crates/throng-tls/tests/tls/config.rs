//! Errors in the configuration are reported in one line, with the remedy.

use crate::authority::Authority;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use throng_tls::{ClientOptions, ClientTls, ServerOptions, ServerTls, Version, Versions};

fn client(change: impl FnOnce(&mut ClientOptions)) -> Result<(), String> {
    let mut options = ClientOptions {
        names: vec!["server.test".into()],
        insecure: true,
        ..ClientOptions::default()
    };
    change(&mut options);
    ClientTls::new(&options)
        .map(|_| ())
        .map_err(|e| e.to_string())
}

fn server(certificate: PathBuf, key: PathBuf) -> Result<(), String> {
    let options = ServerOptions {
        identity: Some((certificate.into(), key.into())),
        ..ServerOptions::default()
    };
    ServerTls::new(&options)
        .map(|_| ())
        .map_err(|e| e.to_string())
}

fn openssl(arguments: &[&str]) {
    let done = Command::new("openssl").args(arguments).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn keys_may_come_in_any_of_the_three_forms_and_not_encrypted() {
    let authority = Authority::new();
    let path = |name: &str| authority.path().join(name).display().to_string();
    let (ec, rsa) = (path("ec.key"), path("rsa.key"));
    openssl(&[
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
        &ec,
    ]);
    openssl(&[
        "genpkey",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-out",
        &rsa,
    ]);
    for (key, form, begin) in [
        (&ec, vec!["pkey"], "BEGIN PRIVATE KEY"),
        (&ec, vec!["ec"], "BEGIN EC PRIVATE KEY"),
        (&rsa, vec!["rsa", "-traditional"], "BEGIN RSA PRIVATE KEY"),
    ] {
        let (certificate, out) = (path("form.pem"), path("form.key"));
        openssl(&[
            "req",
            "-x509",
            "-key",
            key,
            "-subj",
            "/CN=x",
            "-days",
            "9",
            "-out",
            &certificate,
        ]);
        openssl(&[&form[..], &["-in", key, "-out", &out]].concat());
        assert!(fs::read_to_string(&out).unwrap().contains(begin), "{begin}");
        assert_eq!(server(certificate.into(), out.into()), Ok(()), "{begin}");
    }
    let locked = path("locked.key");
    openssl(&[
        "pkey", "-in", &ec, "-aes128", "-passout", "pass:x", "-out", &locked,
    ]);
    let (certificate, _) = authority.issue("server", &["server.test"]);
    let refused = server(certificate, locked.into()).unwrap_err();
    assert!(
        refused.contains("locked.key: the private key is encrypted: decrypt it with openssl pkey")
    );
}

#[test]
fn errors_name_the_file_and_the_remedy_in_one_line() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("server", &["server.test"]);
    let (_, other) = authority.issue("other", &["server.test"]);
    let missing = authority.path().join("missing.pem");
    let der = authority.path().join("der");
    fs::write(&der, [0x30, 0x82, 1, 2, 3]).unwrap();
    let versions = Versions {
        min: Version::Tls13,
        max: Version::Tls12,
    };
    let trusting = |file: &PathBuf| {
        client(|o| {
            o.insecure = false;
            o.ca_file = Some(file.clone().into());
        })
    };
    for (result, wanted) in [
        (
            trusting(&missing),
            "missing.pem: cannot be read: No such file or directory",
        ),
        (trusting(&der), "der: no certificate: PEM is expected"),
        (trusting(&key), "server.key: no certificate"),
        (
            server(missing.clone(), key.clone()),
            "missing.pem: cannot be read",
        ),
        (
            server(certificate.clone(), certificate.clone()),
            "server.pem: no private key",
        ),
        (
            server(certificate, other),
            "other.key: not the key of the first certificate in",
        ),
        (
            client(|o| o.identity = Some((missing.clone().into(), key.into()))),
            "missing.pem: cannot be read",
        ),
        (
            client(|o| o.names = vec!["two words".into()]),
            "\"two words\" is not the name of a TLS server",
        ),
        (client(|o| o.names.clear()), "needs the name of its server"),
        (
            client(|o| o.alpn = vec!["x".repeat(256)]),
            "is not a protocol name for ALPN: 1 to 255 bytes",
        ),
        (
            client(|o| o.versions = versions),
            "no TLS version lies between 1.3 and 1.2",
        ),
        (
            "1.1"
                .parse::<Version>()
                .map(|_| ())
                .map_err(|e| e.to_string()),
            "\"1.1\" is not a TLS version",
        ),
    ] {
        let said = result.expect_err(wanted);
        assert!(said.contains(wanted), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    assert_eq!(client(|_| ()), Ok(()));
}

#[test]
fn the_systems_authorities_are_trusted_if_no_others_are_named() {
    // Whatever this machine trusts, it is not our authority; without any the error says what to do.
    match client(|o| o.insecure = false) {
        Ok(()) => {}
        Err(said) => assert!(said.contains("install ca-certificates"), "{said}"),
    }
}
