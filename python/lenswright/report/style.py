"""The page's look and its one small script (tooltips that come at once and on a touch; without it,
the browser's own).
"""

from __future__ import annotations

from lenswright.plots.colour import (
    ACCENT,
    BASE,
    FAINT,
    FONT,
    GOOD,
    INK,
    LINE,
    MONO,
    SOFT,
    SURFACE,
    WARM,
)

_TOKENS = {
    "surface": SURFACE,
    "ink": INK,
    "soft": SOFT,
    "faint": FAINT,
    "line": LINE,
    "accent": ACCENT,
    "warm": WARM,
    "good": GOOD,
}


def _tokens(dark: bool) -> str:
    return "".join(
        f"--{name}:{paint.dark if dark else paint.light};" for name, paint in _TOKENS.items()
    )


STYLE = (
    f":root{{{_tokens(False)}--tint:#f3f1ec;--sans:{FONT};--mono:{MONO}}}"
    f"{BASE}@media (prefers-color-scheme:dark){{"
    f":root{{{_tokens(True)}--tint:#201e1b}}/*dark figures*/}}"
    """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--surface);color:var(--ink);font:16px/1.6 var(--sans)}
header,main,footer{max-width:924px;margin:0 auto;padding:0 32px}
header{padding-top:64px}
.facts-line{margin:0 0 14px;color:var(--faint);font-size:13px}
h1{margin:0;max-width:25em;font-size:32px;line-height:1.22;font-weight:650;letter-spacing:-.015em;
text-wrap:balance}
.summary{max-width:42em;margin:18px 0 0;color:var(--soft);font-size:17px}
nav{display:grid;grid-auto-flow:column;grid-auto-columns:1fr;margin-top:36px;
border-top:1px solid var(--line);
border-bottom:1px solid var(--line)}
nav a{display:flex;flex-direction:column;padding:16px 18px 18px;color:inherit;text-decoration:none;
border-left:1px solid var(--line)}
nav a:first-child{border-left:0;padding-left:0}
nav a:hover .verb{text-decoration:underline}
.verb{color:var(--accent);font-size:13px;font-weight:600}
.verb::first-letter{text-transform:uppercase}
.value{margin:2px 0 3px;font-size:21px;line-height:1.3;font-weight:620;letter-spacing:-.01em;
font-variant-numeric:tabular-nums}
.what{color:var(--soft);font-size:13px;line-height:1.4;overflow-wrap:anywhere}
.reached{margin:14px 0 0;color:var(--soft);font-size:14px}
.reached a{color:inherit;font-weight:600;text-underline-offset:3px}
section{margin-top:72px;scroll-margin-top:24px}
h2{margin:0 0 10px;font-size:23px;line-height:1.3;font-weight:650;letter-spacing:-.01em}
.under{margin-left:10px;color:var(--faint);font-size:15px;font-weight:400;letter-spacing:0}
h3{margin:44px 0 10px;font-size:17px;font-weight:650}
h4{margin:26px 0 2px;color:var(--soft);font-size:14px;font-weight:600}
h4::first-letter{text-transform:uppercase}
p{margin:10px 0}
.lede,.prose,.note{max-width:44em}
.lede b{font-weight:650}
.note{color:var(--soft);font-size:14px}
.callout{max-width:44em;padding:10px 16px;background:var(--tint);border-left:3px solid var(--warm);
font-size:14px}
figure{margin:26px 0 0}
figcaption{max-width:54em;margin-top:10px;color:var(--soft);font-size:13px;line-height:1.5}
.row{display:flex;flex-wrap:wrap;gap:0 36px}
.row figure{flex:0 1 auto}
.row figure{width:var(--w)}
.scroll{max-width:100%;overflow-x:auto}
.lw-fig{display:block;max-width:100%;height:auto;font-variant-numeric:tabular-nums}
.narrow{display:none}
code{font:.88em/1.4 var(--mono);overflow-wrap:anywhere}
table{width:100%;border-collapse:collapse;font-size:14px;line-height:1.45;
font-variant-numeric:tabular-nums}
th{padding:6px 18px 6px 0;color:var(--faint);font-size:12.5px;font-weight:500;text-align:left;
vertical-align:bottom;
border-bottom:1px solid var(--line)}
td{padding:8px 18px 8px 0;vertical-align:top;border-bottom:1px solid var(--line)}
th:last-child,td:last-child{padding-right:0}
th.n,td.n{text-align:right}
.texts{table-layout:fixed}
.text{white-space:pre-wrap;overflow-wrap:anywhere}
.soft{color:var(--soft)}
.badges{display:flex;flex-wrap:wrap;gap:4px 12px;margin-top:2px}
.badge{color:var(--soft);font-size:12.5px;font-weight:600}
.good{color:var(--good)}.bad{color:var(--warm)}.none{color:var(--faint)}
.verdict{font-weight:600;white-space:nowrap}
.barred{display:flex;align-items:center;gap:10px}
.barred::before{content:"";order:1}
.bar{flex:1;min-width:60px;max-width:220px;height:8px;background:var(--tint);border-radius:2px;
overflow:hidden}
.bar span{display:block;height:100%;background:var(--accent)}
.barred{min-width:150px}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:14px 24px;
margin:12px 0 0}
dt{color:var(--faint);font-size:12.5px}dd{margin:0;font-size:14px;overflow-wrap:anywhere}
details{margin-top:14px;font-size:14px}
summary{width:fit-content;color:var(--accent);cursor:pointer;font-weight:550;padding:4px 0}
details>.scroll{max-height:60vh;overflow-y:auto;margin-top:6px}
main>details{margin-top:72px}
footer{margin-top:40px;padding-top:18px;padding-bottom:56px;color:var(--faint);font-size:13px}
a:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:3px}
#tip{position:fixed;z-index:9;max-width:320px;padding:7px 11px;background:var(--ink);
color:var(--surface);
border-radius:6px;font-size:12.5px;line-height:1.45;white-space:pre-line;pointer-events:none;
overflow-wrap:anywhere}
#tip[hidden]{display:none}
@media (max-width:719px){
.wide{display:none}.narrow{display:block}
header,main,footer{padding-left:24px;padding-right:24px}
header{padding-top:36px}
h1{font-size:25px}
.summary{font-size:16px}
nav{grid-auto-flow:row;grid-template-columns:1fr 1fr}
nav a{padding:13px 12px 14px}
nav a:nth-child(odd){border-left:0;padding-left:0}
nav a:nth-child(n+3){border-top:1px solid var(--line)}
.value{font-size:18px}
section{margin-top:56px}
.under{display:block;margin:0}
thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
tr{display:block;padding:10px 0;border-bottom:1px solid var(--line)}
td,td.n{display:grid;grid-template-columns:92px 1fr;gap:0 10px;padding:2px 0;border:0;
text-align:left}
td::before{content:attr(data-label);color:var(--faint);font-size:12.5px;line-height:20px}
td>*{grid-column:2}
}
@media print{details{display:none}section{break-inside:avoid-page}}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
"""
)

SCRIPT = """
(function () {
  var tip = document.getElementById("tip");
  document.querySelectorAll(".lw-fig title").forEach(function (title) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  });
  function show(event) {
    var mark = event.target.closest && event.target.closest("[data-tip]");
    tip.hidden = !mark;
    if (!mark) return;
    tip.textContent = mark.dataset.tip;
    var box = mark.getBoundingClientRect(), own = tip.getBoundingClientRect();
    var wide = box.width > 200, x = wide ? event.clientX : box.left + box.width / 2;
    x = Math.max(8, Math.min(x - own.width / 2, innerWidth - own.width - 8));
    var y = box.top - own.height - 8;
    tip.style.left = x + "px";
    tip.style.top = (y < 8 ? box.bottom + 8 : y) + "px";
  }
  document.addEventListener("pointerover", show);
  document.addEventListener("pointerdown", show);
  addEventListener("scroll", function () { tip.hidden = true; }, {passive: true});
})();
"""
