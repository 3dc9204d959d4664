//! `config.toml`. The program keeps its reader to itself, so its file is read here, beside the
//! two things that it wants from its neighbours.

#[path = "../../../src-tauri/src/config/mod.rs"]
#[expect(dead_code, reason = "a test of its reader asks for less than the program")]
mod reader;

/// Stands in for the folder that the configuration is found in.
pub(crate) mod home {
    pub(crate) struct Home;

    impl Home {
        pub(crate) fn path(&self) -> &std::path::Path {
            std::path::Path::new("home")
        }
    }
}

/// Stands in for the pages, whose names no provider may have.
pub(crate) mod pages {
    pub(crate) const ROUTES: &[&str] = &["usage"];
}

/// A text is refused with a sentence, or makes a configuration that can be served with.
pub fn check(input: &[u8]) {
    let text = &*String::from_utf8_lossy(input);
    match reader::Config::parse(text) {
        Ok(config) => {
            assert!(config.providers.get(&config.default_provider).is_some());
            assert!(!config.listen.is_empty(), "nowhere to listen");
            assert!(!config.connect_timeout.is_zero() && !config.idle_timeout.is_zero());
            assert!(config.backup.keep > 0 && config.backup.every.is_none_or(|e| !e.is_zero()));
            for provider in config.providers.iter() {
                let origin = provider.base_url.as_deref();
                assert!(origin.is_none_or(|origin| origin.starts_with("http")), "{origin:?}");
            }
        }
        Err(refused) => assert!(!format!("{refused:#}").is_empty()),
    }
}
