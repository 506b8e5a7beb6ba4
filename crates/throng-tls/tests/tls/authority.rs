//! Certificates for the tests, in PEM files.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use std::fs;
use std::path::{Path, PathBuf};
use throng_core::scenario::Pem;

/// An authority and the directory in which its files lie.
pub struct Authority {
    dir: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// Both files as options take them.
pub fn pems((certificate, key): (PathBuf, PathBuf)) -> (Pem, Pem) {
    (certificate.into(), key.into())
}

impl Authority {
    pub fn new() -> Authority {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // Two authorities of one name would be taken for one with a wrong signature.
        let name = format!("throng's test authority in {}", dir.path().display());
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Authority {
            dir,
            issuer: Issuer::new(params, key),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The authority's own certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.path().join("ca.pem")
    }

    /// A certificate for these names, in files called after `file`.
    pub fn issue(&self, file: &str, names: &[&str]) -> (PathBuf, PathBuf) {
        self.issue_until(file, names, 4000)
    }

    /// The same, good until the beginning of a year.
    pub fn issue_until(&self, file: &str, names: &[&str], year: i32) -> (PathBuf, PathBuf) {
        let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.write(file, &certificate.pem(), &key.serialize_pem())
    }

    pub fn write(&self, file: &str, certificate: &str, key: &str) -> (PathBuf, PathBuf) {
        let paths = (
            self.path().join(format!("{file}.pem")),
            self.path().join(format!("{file}.key")),
        );
        fs::write(&paths.0, certificate).unwrap();
        fs::write(&paths.1, key).unwrap();
        paths
    }
}
