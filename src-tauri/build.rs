//! What the build needs to know: the pages, and with the feature `desktop` the window.

fn main() {
    // Watching a folder that is not there would build anew every time.
    if std::fs::create_dir_all("ui/dist").is_ok() {
        println!("cargo:rerun-if-changed=ui/dist");
    }
    println!("cargo:rerun-if-changed=src-tauri/build.rs");
    #[cfg(feature = "desktop")]
    {
        println!("cargo:rerun-if-changed=src-tauri/capabilities");
        let commands = tauri_build::AppManifest::new().commands(&["ask"]);
        let attributes = tauri_build::Attributes::new()
            .capabilities_path_pattern("./src-tauri/capabilities/**/*")
            .app_manifest(commands);
        tauri_build::try_build(attributes).expect("tauri.conf.json and the capabilities are valid");
    }
}
