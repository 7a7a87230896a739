"""How the page looks, on screens, bright and dark, and on paper; and its frame."""

from __future__ import annotations

from collections.abc import Sequence

from maetab.page.markup import Markup, element, joined

# Nothing is loaded and nothing runs, whatever the page holds.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

# The two series of colour are told apart without colour, too: by outline, dashes or place.
STYLE = """
:root{color-scheme:light dark;--ground:#fff;--text:#1b1f24;--soft:#57606a;--line:#d0d7de;
--plane:#f6f8fa;--seen:#5a6572;--filled:#0b62c4;--band:#0b62c433;--bars:#8c959f;--outline:#003d80}
@media (prefers-color-scheme:dark){:root{--ground:#14171b;--text:#e6e9ed;--soft:#a3adb8;
--line:#3a424c;--plane:#1d2228;--seen:#9aa5b1;--filled:#6cb2ff;--band:#6cb2ff40;
--bars:#636c76;--outline:#a8d1ff}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--ground);color:var(--text);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",Arial,sans-serif}
header,main,footer{max-width:66rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:1.5rem}
h1{font-size:1.8rem;line-height:1.2;margin:.2em 0;overflow-wrap:anywhere}
h2{font-size:1.35rem;margin:2.2em 0 .4em;padding-top:.5em;border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:1.6em 0 .3em}
p{max-width:46rem;margin:.5em 0 .9em}
a{color:var(--filled)}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:.5rem;background:var(--ground);padding:.3em .6em}
.soft,figcaption,caption{color:var(--soft)}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;padding:0;margin:1em 0}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;
margin:1em 0;padding:0}
.facts div{background:var(--plane);border:1px solid var(--line);border-radius:6px;
padding:.5rem .75rem}
.facts dt{font-size:.85rem;color:var(--soft)}
.facts dd{margin:0;font-size:1.3rem;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.wide{overflow-x:auto;margin:1em 0 1.4em}
.wide:focus-visible,.course:focus-visible,a:focus-visible{outline:2px solid var(--filled);
outline-offset:2px}
table{border-collapse:collapse;font-size:.9rem;min-width:min(100%,32rem)}
caption{text-align:left;padding:0 0 .4em;max-width:min(46rem,100vw - 2.5rem)}
th,td{padding:.25rem .7rem .25rem 0;text-align:left;vertical-align:middle;
border-bottom:1px solid var(--line)}
th{font-weight:600}
tbody th{font-weight:500;min-width:6.5rem;max-width:18rem;overflow-wrap:anywhere}
td{max-width:24rem;overflow-wrap:break-word}
th.number,td.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;min-width:0}
thead th{vertical-align:bottom}
thead th.number{white-space:normal}
td b{font-weight:700}
figure{margin:1em 0 1.4em;max-width:100%}
figcaption{font-size:.9rem;max-width:46rem;margin-bottom:.3em}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:1.2rem}
.grid figure{margin:0}
.grid figcaption{overflow-wrap:anywhere}
td:not(.number){min-width:5rem}
td:last-child:not(.number){min-width:9rem}
.course{overflow-x:auto}.course svg{min-width:32rem}
svg{display:block;max-width:100%;height:auto;overflow:visible}
svg text{font:11px system-ui,"Liberation Sans",Arial,sans-serif;fill:var(--soft)}
.seen{fill:var(--seen)}.bars{fill:var(--bars)}.filled{fill:var(--filled)}.band{fill:var(--band)}
.seen-line{fill:none;stroke:var(--seen);stroke-width:1.2}
.filled-line{fill:none;stroke:var(--filled);stroke-width:2}
.outline{fill:none;stroke:var(--outline);stroke-width:1.8}
.rule{stroke:var(--line);stroke-width:1;fill:none}
.track,.back{fill:var(--line)}
.key{display:inline-block;width:1.4em;height:.75em;margin-right:.4em;vertical-align:baseline}
.key.seen{background:var(--seen);height:.2em;vertical-align:middle}
.key.bars{background:var(--bars)}.key.outline{border:2px solid var(--outline)}
.key.line{background:var(--filled);height:.2em;vertical-align:middle}
.key.band{background:var(--band)}
.methods{border-left:4px solid var(--filled);background:var(--plane);padding:.6rem 1rem;
max-width:46rem;overflow-wrap:anywhere}
footer{padding:2rem 1.25rem;color:var(--soft);font-size:.9rem}
@media print{@page{margin:15mm}
:root{--ground:#fff;--text:#000;--soft:#444;--line:#bbb;--plane:#fff;--seen:#666;--filled:#0b55a8;
--band:#0b55a833;--bars:#8c959f;--outline:#003d80}
body{font-size:10pt}nav,.skip{display:none}.wide,.course{overflow:visible}.course svg{min-width:0}
table{font-size:8pt}tr,figure,.facts div{break-inside:avoid}h2,h3,caption{break-after:avoid}
thead{display:table-header-group}a{color:inherit;text-decoration:none}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""


def document(title: str, top: Sequence[Markup], sections: Sequence[Markup], foot: Markup) -> str:
    """Return the page; `top` stands above the sections, `foot` below."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    skip = element("a", "Skip to the findings", href="#findings", class_="skip")
    main = element("main", *sections, id="findings")
    body = element("body", skip, element("header", *top), main, element("footer", foot))
    page = joined(Markup("<!DOCTYPE html>\n"), element("html", head, body, lang="en"))
    return str(page).replace("</section>", "</section>\n").replace("</tr>", "</tr>\n")
