//! What is known of a setting, each once.

use super::kind::Check;

/// When a change takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// At once.
    Live,
    /// When the agent is started again. Pods never notice.
    Restart,
}

impl Change {
    /// As people read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "at once",
            Self::Restart => "restart of the agent",
        }
    }
}

/// A setting.
pub struct Setting {
    /// The name of its flag and its key in the file.
    pub name: &'static str,
    /// What stands for its value in `--help`.
    pub value_name: &'static str,
    /// One paragraph; its first sentence is for tables.
    pub help: &'static str,
    /// What holds when nobody says anything. Nothing, if the agent finds out by itself.
    pub default: &'static [&'static str],
    /// What it may be.
    pub kind: &'static dyn Check,
    /// When a change takes effect.
    pub change: Change,
    /// Variables by which others know it, besides ours.
    pub aliases: &'static [&'static str],
}

impl Setting {
    /// The setting of that name.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Self> {
        crate::options::SETTINGS.iter().find(|setting| setting.name == name)
    }

    /// The same of a name that code has, not a user.
    pub(super) fn named(name: &str) -> &'static Self {
        #[expect(clippy::expect_used, reason = "a test goes over all names in the code")]
        Self::find(name).expect("a setting of that name")
    }

    /// The texts of the default.
    #[must_use]
    pub fn default(&self) -> Vec<String> {
        self.default.iter().map(|&text| text.to_owned()).collect()
    }

    /// The first sentence of its help.
    #[must_use]
    pub fn summary(&self) -> String {
        let text = self.help.split_whitespace().collect::<Vec<_>>().join(" ");
        let end = text.find(". ").or_else(|| text.ends_with('.').then(|| text.len() - 1));
        text[..end.unwrap_or(text.len())].to_owned()
    }

    /// The variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("CARACAL_{}", self.name.to_uppercase().replace('-', "_"))
    }

    /// The texts of one text, as flags and variables have it.
    #[must_use]
    pub fn split(&self, text: &str) -> Vec<String> {
        if self.kind.is_list() {
            text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
        } else {
            vec![text.to_owned()]
        }
    }
}
