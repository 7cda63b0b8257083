#!/bin/sh
# Builds the page. usage: etc/web/build.sh DIRECTORY [--may-fail]
#   DIRECTORY   gets web/, the finished page, and work/, where it is built; the sources stay as they are
#   --may-fail  without npm's registry there is no page, and that is said soon; it is no error
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
patience=
[ "${2-}" != --may-fail ] || patience="--fetch-retries=1 --fetch-retry-mintimeout=2000 --fetch-retry-maxtimeout=2000 --fetch-timeout=60000"
mkdir -p "$out/work"
for name in package.json package-lock.json .npmrc build.mjs index.html icon.svg app.webmanifest src test; do
	rm -rf "$out/work/$name"
	cp -R "$here/$name" "$out/work/"
done
cd "$out/work"
same=$(cat package-lock.json | cksum)
if [ "$(cat installed 2>/dev/null)" != "$same" ]; then
	if ! npm ci --ignore-scripts --no-audit --no-fund --prefer-offline $patience >npm.log 2>&1; then
		tail -n 5 npm.log >&2
		[ "${2-}" = --may-fail ] || exit 1
		echo "the page is not built: npm could not install what it needs; the bridge works without" >&2
		exit 0
	fi
	echo "$same" >installed
fi
node build.mjs ../web
