//! Which project a folder belongs to: the repository around it, and where that was cloned from.
//! Read from git's own files; no command is run.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A configuration larger than this is not read further.
const MOST: u64 = 64 * 1024;

/// What is known of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Project {
    /// The name of the repository's folder, or of the folder itself where there is none.
    pub(super) name: Option<String>,
    /// Where it was cloned from: host and path, never a credential.
    pub(super) remote: Option<String>,
}

/// The project of a folder.
pub(super) fn of(folder: &Path) -> Project {
    let Some((root, git)) = repository(folder) else {
        return Project { name: name(folder), remote: None };
    };
    let config = config(&git).and_then(|path| text(&path)).unwrap_or_default();
    Project { name: name(root), remote: remote(&config).and_then(|url| shown(&url)) }
}

fn name(folder: &Path) -> Option<String> {
    folder.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// The nearest folder upwards with a `.git` in it, and that.
fn repository(folder: &Path) -> Option<(&Path, PathBuf)> {
    folder.ancestors().find_map(|above| {
        let git = above.join(".git");
        git.exists().then_some((above, git))
    })
}

/// The file with the remotes. In a worktree or submodule `.git` is a file that says where to
/// look; a worktree shares its repository's.
fn config(git: &Path) -> Option<PathBuf> {
    if git.is_dir() {
        return Some(git.join("config"));
    }
    let elsewhere = text(git)?;
    let elsewhere = git.parent()?.join(elsewhere.strip_prefix("gitdir:")?.trim());
    let common = text(&elsewhere.join("commondir"));
    let common = common.map_or(elsewhere.clone(), |common| elsewhere.join(common.trim()));
    Some(common.join("config"))
}

fn text(path: &Path) -> Option<String> {
    // Not a pipe that somebody put there: it would never end.
    if !fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The address of `origin`, or else of the first remote.
fn remote(config: &str) -> Option<String> {
    let (mut section, mut first) = (None, None);
    for line in config.lines().map(str::trim) {
        if let Some(head) = line.strip_prefix('[') {
            section = head.strip_prefix("remote \"").and_then(|name| name.split('"').next());
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        if section.is_none() || !key.trim().eq_ignore_ascii_case("url") {
            continue;
        }
        let url = value.trim().trim_matches('"').to_owned();
        if section == Some("origin") {
            return Some(url);
        }
        first.get_or_insert(url);
    }
    first
}

/// Host and path of a clone's address. `None`: it is a folder, or nothing we know.
fn shown(url: &str) -> Option<String> {
    let (authority, path) = match url.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("file") => return None,
        Some((_, rest)) => rest.split_once('/')?,
        // `git@host:path`, as ssh has it; a colon behind a slash is part of a folder.
        None => {
            url.split_once(':').filter(|(host, _)| host.len() > 1 && !host.contains(['/', '\\']))?
        }
    };
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!host.is_empty() && !path.is_empty()).then(|| format!("{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_opens_it() {
        for (url, want) in [
            ("https://github.com/acme/shop.git", Some("github.com/acme/shop")),
            ("https://me:ghp_secret@github.com/acme/shop", Some("github.com/acme/shop")),
            ("https://ghp_secret@github.com/acme/shop/", Some("github.com/acme/shop")),
            ("https://a@b:secret@git.test:8443/x.git?token=secret#secret", Some("git.test:8443/x")),
            ("ssh://git@git.test:2222/acme/shop.git", Some("git.test:2222/acme/shop")),
            ("git@github.com:acme/shop.git", Some("github.com/acme/shop")),
            ("/srv/git/shop.git", None),
            ("../shop", None),
            ("C:\\repos\\shop", None),
            ("file:///srv/git/shop.git", None),
            ("https://github.com", None),
            ("", None),
        ] {
            assert_eq!(shown(url).as_deref(), want, "{url}");
        }
    }

    #[test]
    fn origin_goes_before_other_remotes() {
        let config = "[core]\n\turl = no\n[remote \"fork\"]\n\turl = git@h:a\n\tfetch = +x\n\
                      [remote \"origin\"]\n\tURL = \"https://h/b\"\n[branch \"m\"]\n\turl = no\n";
        assert_eq!(remote(config).as_deref(), Some("https://h/b"));
        let (fork, _) = config.split_once("[remote \"origin\"]").unwrap();
        assert_eq!(remote(fork).as_deref(), Some("git@h:a"));
        assert_eq!(remote("[remote \"origin\"]\n[x]\nurl = no\n"), None);
    }

    #[test]
    fn a_worktree_is_a_project_of_its_own_with_the_repositorys_remote() {
        let home = tempfile::tempdir().unwrap();
        let (main, tree) = (home.path().join("shop"), home.path().join("shop-fix"));
        let admin = main.join(".git/worktrees/shop-fix");
        fs::create_dir_all(&admin).unwrap();
        fs::create_dir_all(tree.join("src/deep")).unwrap();
        fs::write(main.join(".git/config"), "[remote \"origin\"]\nurl = git@h:acme/shop\n")
            .unwrap();
        fs::write(admin.join("commondir"), "../..\n").unwrap();
        fs::write(tree.join(".git"), format!("gitdir: {}\n", admin.display())).unwrap();
        let remote = Some("h/acme/shop".to_owned());
        let project = of(&tree.join("src/deep"));
        assert_eq!(project, Project { name: Some("shop-fix".into()), remote: remote.clone() });
        assert_eq!(of(&main), Project { name: Some("shop".into()), remote });
        let bare = home.path().join("notes");
        fs::create_dir(&bare).unwrap();
        assert_eq!(of(&bare), Project { name: Some("notes".into()), remote: None });
    }
}
