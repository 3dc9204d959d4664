#!/bin/sh
# What `make package` does: the app built for release, packaged for the system it is built on,
# with what is in it (CycloneDX) and checksums beside it in target/package.
# BUNDLES says which packages: deb and rpm are made without network; appimage fetches its runtime.
set -eu
cd "$(dirname "$0")/.."
cargo=${CARGO:-cargo}
release=${CARGO_TARGET_DIR:-target}/release
made=target/package
tauri=ui/node_modules/.bin/tauri
case $(uname) in
  Linux) bundles=${BUNDLES:-deb,rpm} ;;
  Darwin) bundles=${BUNDLES:-app,dmg} ;;
  *) bundles=${BUNDLES:-nsis} ;;
esac
rm -rf "$made"
mkdir -p "$made/man1"

$tauri build --no-bundle -- --locked

# What the packages hold besides the program comes from the program itself.
binary=$release/tollgate
"$binary" manual "$made/man1"
gzip -9n "$made"/man1/*.1
gzip -9nc CHANGELOG.md >"$made/changelog.gz"
"$binary" completions bash >"$made/tollgate.bash"
"$binary" completions zsh >"$made/_tollgate"
"$binary" completions fish >"$made/tollgate.fish"

# A newer system's C library in the program would break the package's promise.
if [ "$(uname)" = Linux ] && command -v objdump >/dev/null 2>&1; then
  needs=$(objdump -T "$binary" | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -Vu | tail -1)
  grep -q "libc6 (>= $needs)" tauri.conf.json || echo "warning: built against glibc $needs, which is not what tauri.conf.json says" >&2
fi

rm -rf "$release/bundle"
$tauri bundle --bundles "$bundles"
find "$release/bundle" -type f \( -name '*.deb' -o -name '*.rpm' -o -name '*.AppImage' -o -name '*.dmg' -o -name '*-setup.exe' -o -name '*.msi' \) \
  -exec cp {} "$made/" \;

# What is inside, of both worlds: the crates that were linked, the packages the pages were built with.
version=$("$binary" --version | cut -d' ' -f2)
command -v cargo-cyclonedx >/dev/null 2>&1 || $cargo install --quiet --locked --version 0.5.9 cargo-cyclonedx
$cargo cyclonedx --quiet --format json --spec-version 1.5 --features desktop --no-build-deps --override-filename tollgate.cdx
# Where it was built is nobody's business.
sed "s|$PWD|/tollgate|g" tollgate.cdx.json >"$made/tollgate-$version.cdx.json"
rm tollgate.cdx.json
find src-tauri/crates tests -name tollgate.cdx.json -not -path '*/node_modules/*' -exec rm {} +
(cd ui && npm sbom --sbom-format cyclonedx) >"$made/tollgate-$version-pages.cdx.json"

cd "$made"
rm -rf man1 changelog.gz tollgate.bash _tollgate tollgate.fish
if command -v sha256sum >/dev/null 2>&1; then sha256sum ./* >SHA256SUMS; else shasum -a 256 ./* >SHA256SUMS; fi
ls -l
