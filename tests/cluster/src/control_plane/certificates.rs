//! The keys of a control plane: an authority, the API servers' certificate, and what service account tokens are signed
//! with.

use anyhow::{Context as _, Result};
use caracal_lab::{Machine, Site as _};
use k8s_openapi::ByteString;
use kube::{Config, config::AuthInfo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::json;

/// What a control plane's files have in them.
#[derive(Debug)]
pub(super) struct Certificates {
    authority_der: Vec<u8>,
    authority_pem: String,
    server_pem: String,
    server_key: String,
    account_key: String,
    account_public: String,
}

impl Certificates {
    /// New ones, for API servers of `machine`.
    pub(super) fn make(machine: &Machine) -> Result<Self> {
        let mut authority = CertificateParams::default();
        authority.distinguished_name.push(DnType::CommonName, "kubernetes");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().context("making the authority's key")?;
        let authority = CertifiedIssuer::self_signed(authority, key).context("making the authority")?;

        let addresses = machine.addresses().iter().map(ToString::to_string);
        let names: Vec<String> = ["127.0.0.1", "localhost"].map(str::to_owned).into_iter().chain(addresses).collect();
        let key = KeyPair::generate().context("making the API servers' key")?;
        let server = CertificateParams::new(names).and_then(|server| server.signed_by(&key, &authority));
        let account = KeyPair::generate().context("making the key of service account tokens")?;
        Ok(Self {
            authority_der: authority.der().to_vec(),
            authority_pem: authority.pem(),
            server_pem: server.context("making the API servers' certificate")?.pem(),
            server_key: key.serialize_pem(),
            account_key: account.serialize_pem(),
            account_public: account.public_key_pem(),
        })
    }

    /// The files that API servers read.
    pub(super) fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("server.crt", self.server_pem.as_str()),
            ("server.key", &self.server_key),
            ("account.key", &self.account_key),
            ("account.pub", &self.account_public),
        ]
        .into_iter()
    }

    /// The authority's certificate, as kubeconfigs have it.
    pub(super) fn authority(&self) -> ByteString {
        ByteString(self.authority_pem.clone().into_bytes())
    }

    /// How a client of ours reaches an API server.
    pub(super) fn config(&self, url: &str, token: &str) -> Result<Config> {
        let mut config = Config::new(url.parse().with_context(|| format!("understanding {url}"))?);
        config.root_cert = Some(vec![self.authority_der.clone()]);
        config.auth_info = serde_json::from_value::<AuthInfo>(json!({ "token": token })).context("making a token")?;
        Ok(config)
    }
}
