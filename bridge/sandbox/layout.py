"""The one frame and the one style of every page, and the few pieces pages are made of."""

from html import escape

from bridge.sandbox.wire import Response

_STYLE = """
:root { color-scheme: light dark; --back: #f6f5f2; --card: #fff; --text: #22252b; --soft: #5d6470;
  --line: #dedbd3; --edge: #8b8578; --main: #5b3a8c; --on-main: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --back: #17181b; --card: #212328; --text: #e8e6e1; --soft: #a3a9b3;
    --line: #383b42; --edge: #7d838f; --main: #b99cf0; --on-main: #17181b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 48rem; padding: 1rem; background: var(--back);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 1rem 0 .25rem; }
h2 { font-size: 1.1rem; margin: 1.75rem 0 .5rem; }
a { color: var(--main); }
p { margin: .25rem 0 1rem; }
p, small { color: var(--soft); }
ul { list-style: none; margin: 0; padding: 0; }
.card, li { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .8rem 1rem; margin-bottom: .6rem; display: flex; flex-wrap: wrap; gap: .5rem .75rem;
  align-items: center; }
li > div { flex: 1 1 12rem; }
strong { font-variant-numeric: tabular-nums; }
.status { border: 1px solid; border-radius: 1rem; padding: 0 .6rem; font-size: .85rem; }
label { display: grid; gap: .15rem; font-size: .9rem; flex: 1 1 10rem; }
.card:has(label:not(.choice)) { align-items: end; }
.choice { display: flex; gap: .6rem; font-size: 1rem; padding: .5rem 0; }
fieldset { border: 0; margin: 0; padding: 0; flex: 1 1 100%; }
legend { padding: 0; font-weight: 600; }
button, input { font: inherit; color: inherit; background: var(--back); min-width: 0;
  border: 1px solid var(--edge); border-radius: .4rem; padding: .4rem .7rem; }
button, input:not([type=radio]) { min-height: 2.75rem; }
button { cursor: pointer; }
.main { background: var(--main); color: var(--on-main); border-color: var(--main); }
:focus-visible { outline: 3px solid var(--main); outline-offset: 2px; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
"""


def frame(title: str, body: str) -> str:
    """Return a whole page; `title` is text, `body` is HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>\n"
    )


def button(action: str, label: str, about: str) -> str:
    """Return a one-button form that posts to `action`; `about` is said to those who do not see."""
    return (
        f'<form method="post" action="{escape(action)}"><button>{escape(label)}'
        f'<span class="unseen"> {escape(about)}</span></button></form>'
    )


def choice(name: str, value: str, label: str, *, chosen: bool) -> str:
    """Return a radio button with its label."""
    return (
        f'<label class="choice"><input type="radio" name="{escape(name)}" value="{escape(value)}"'
        f"{' checked' if chosen else ''}>{escape(label)}</label>"
    )


def missing() -> Response:
    """Answer that there is no such page."""
    return Response.html(frame("Not found", '<p><a href="/">Back to the storefront</a></p>'), 404)
