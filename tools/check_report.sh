#!/bin/sh
# check_report.sh - a report in headless Chromium: no messages on the console, nothing wider than
# the window on a phone and on a desk; screenshots.
#
# usage: tools/check_report.sh REPORT.html [FOLDER FOR SCREENSHOTS]
# Skips aloud when Chromium is absent (Debian: apt-get install chromium).
set -eu
report=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
out=${2:-}
chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -z "$chromium" ]; then
    echo "SKIPPED: check_report.sh needs chromium; apt-get install chromium"
    exit 0
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT INT TERM
failures=0

# browse WIDTH HEIGHT OPTION... PAGE: the browser without window, its profile and messages in scratch
browse() {
    size=$1,$2
    shift 2
    "$chromium" --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$scratch/profile" \
        --virtual-time-budget=3000 --allow-file-access-from-files \
        --enable-logging=stderr --window-size="$size" "$@" 2>"$scratch/messages.txt"
}

# The page in a frame of the width asked for: a browser without window may be no narrower than 500
# units, a frame may. The frame's own width and that of its content become the title of the page.
measure() {
    cat >"$scratch/frame.html" <<END
<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">
<iframe id="f" src="file://$report" style="width:$1px;height:900px;border:0"></iframe>
<script>
document.getElementById('f').onload = function () {
  var page = this.contentDocument.documentElement;
  var ids = Array.from(this.contentDocument.querySelectorAll('[id]'), e => e.id);
  document.title = [page.clientWidth, page.scrollWidth, page.scrollHeight,
                    ids.length - new Set(ids).size].join(' ');
};
</script>
END
    browse 1500 900 --dump-dom "file://$scratch/frame.html" |
        sed -n 's/.*<title>\([0-9 ]*\)<\/title>.*/\1/p'
}

check() {
    width=$1
    set -- $(measure "$width")
    if [ $# != 4 ]; then
        echo "FAILED: the page cannot be measured at $width px"
        failures=$((failures + 1))
        return
    fi
    echo "$width px: content $2 of $1 px wide, $3 px high, $4 ids twice"
    [ "$2" -le "$1" ] && [ "$4" = 0 ] || failures=$((failures + 1))
    if grep -E 'CONSOLE|Uncaught' "$scratch/messages.txt"; then
        echo "FAILED: messages on the console at $width px"
        failures=$((failures + 1))
    fi
    height=$3
}

# shoot WIDTH HEIGHT NAME SCHEME SCALE: a picture of the frame
shoot() {
    cat >"$scratch/picture.html" <<END
<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">
<iframe src="file://$report" style="width:$1px;height:$2px;border:0"></iframe>
END
    browse "$1" "$2" --screenshot="$scratch/picture.png" \
        --blink-settings=preferredColorScheme="$4" --force-device-scale-factor="$5" "file://$scratch/picture.html"
    mv "$scratch/picture.png" "$out/$3.png"
}

for width in 380 1400; do
    check $width
    if [ -n "$out" ] && [ "$failures" = 0 ]; then
        # Small enough to be kept: no more than the first 10,000 px, at half size on a desk.
        [ "$height" -le 10000 ] || height=10000
        scale=$([ $width = 1400 ] && echo 0.5 || echo 0.7)
        scheme=$([ $width = 1400 ] && echo light || echo dark)
        shoot $width "$height" "$scheme-$width" "$([ $scheme = light ] && echo 1 || echo 0)" "$scale"
    fi
done
[ "$failures" = 0 ] || exit 1
echo "ok"
