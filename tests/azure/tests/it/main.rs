//! Caracal behind Azure's network plugin, on nodes as AKS has them: the plugin's stand-in and, where `AZURE_VNET_BIN`
//! names it, the real one. Needs root.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// Makes tests of scenarios, one with the stand-in and one with the real plugin.
macro_rules! with_both {
    ($($scenario:ident),+ $(,)?) => {
        mod stand_in {
            $(#[test]
            fn $scenario() {
                super::$scenario(&crate::vendor::Vendor::stand_in());
            })+
        }
        mod real {
            $(#[test]
            fn $scenario() {
                if let Some(vendor) = crate::vendor::Vendor::real() {
                    super::$scenario(&vendor);
                }
            })+
        }
    };
}

mod aks;
mod broken;
mod chain;
mod life;
mod lost;
mod reuse;
mod vendor;
