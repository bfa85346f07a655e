"""A reader in headless Chromium: opens pages, waits until they stand still, and keeps what went wrong meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Response, WebSocket
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE = {"width": 1440, "height": 900}

# When the page changed last.
WATCH = """
new MutationObserver(() => window.changedAt = performance.now()).observe(document, {subtree: true, childList: true, characterData: true});
"""
SETTLED = """
() => {
  const app = document.querySelector('[data-testid=stApp]');
  if (!app || app.getAttribute('data-test-script-state') !== 'notRunning') return false;
  if (performance.now() - window.changedAt < 120) return false;
  if (!document.querySelector('[data-testid=stMain] h1, [data-testid=stMain] [data-testid=stAlert]')) return false;
  if (document.querySelector('[data-testid=stSkeleton], [data-testid=stAppSkeleton], [data-stale=true]')) return false;
  const all = (name, part) => [...document.querySelectorAll(`[data-testid=${name}]`)].every(shown => shown.querySelector(part));
  const hasFont = [...document.fonts].some(face => face.family.includes('IBM Plex Sans') && face.status === 'loaded');
  return hasFont && all('stPlotlyChart', '.main-svg .xaxislayer-above, .main-svg .infolayer')
    && all('stDataFrame', 'canvas[width]');
}
"""
LAID_OUT = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"

# Text that runs out of what clips it, and text of a card that is wider than its own cell.
CUT = """
() => {
  const found = [], main = document.querySelector('[data-testid=stMain]');
  const outside = '[data-testid=stDataFrame], [data-testid=stPlotlyChart], [data-testid=stElementToolbar], style, script';
  const texts = document.createTreeWalker(document.querySelector('[data-testid=stAppViewContainer]'), NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const parent = node.parentElement, range = document.createRange();
    if (!node.textContent.trim() || parent.closest(outside)) continue;
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 2 || box.height < 2) continue;
      for (let around = parent; around && around !== main; around = around.parentElement) {
        const style = getComputedStyle(around), edge = around.getBoundingClientRect();
        if (edge.width < 2) break;  // for screen readers only
        if (style.overflowX === 'visible') continue;
        if (box.right > edge.right + 1 || box.left < edge.left - 1) { found.push(node.textContent.trim()); break; }
      }
    }
  }
  for (const part of document.querySelectorAll('.sl *, [data-testid=stMetric] *, [data-testid=stMain] input')) {
    if (part.clientWidth > 0 && part.scrollWidth > part.clientWidth + 1) found.push(part.value || part.innerText || part.outerHTML);
  }
  if (document.documentElement.scrollWidth > innerWidth || main.scrollWidth > main.clientWidth) found.push('the page scrolls sideways');
  return [...new Set(found)];
}
"""
CUT_LABELS = """
() => [...document.querySelectorAll('[data-testid=stPlotlyChart]')].flatMap(chart => {
  const edge = chart.getBoundingClientRect();
  return [...chart.querySelectorAll('.main-svg text')].filter(text => {
    const box = text.getBoundingClientRect();
    return box.width && (box.left < edge.left - 1 || box.right > edge.right + 1 || box.top < edge.top - 1 || box.bottom > edge.bottom + 1);
  }).map(text => text.textContent);
})
"""

Scheme = Literal["light", "dark"]


@dataclass
class Reader:
    """One tab with the trouble that it had since the last look."""

    page: Page
    url: str
    trouble: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # paths answered with 400 or more
    hosts: set[str] = field(default_factory=set)
    socket: WebSocket | None = None

    def __post_init__(self) -> None:
        page = self.page
        page.set_default_timeout(60_000)
        page.add_init_script(WATCH)
        page.on("console", self._heard)
        page.on("response", self._answered)
        page.on("pageerror", lambda error: self.trouble.append(f"error in the page: {error}"))
        page.on("requestfailed", lambda request: self.trouble.append(f"failed request: {request.url} ({request.failure})"))
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", self._connected)

    def open(self, link: str = "") -> None:
        """Load a link as a bookmark would."""
        self.refused.clear()
        self.page.goto(f"{self.url}/{link}")
        self.settle()

    def settle(self) -> None:
        """Wait until the script has ended and all that it shows is drawn."""
        self.page.wait_for_function(SETTLED)
        self.page.evaluate(LAID_OUT)

    def after(self, action: Callable[[], object]) -> None:
        """Do something, and wait for the run that it causes."""
        assert self.socket is not None
        with self.socket.expect_event("framereceived", is_end_of_run):
            action()
        self.settle()

    def resize(self, size: dict[str, int]) -> None:
        self.page.set_viewport_size(size)
        self.settle()

    def go(self, title: str) -> None:
        """Open a page from the sidebar."""
        self.after(self.page.get_by_test_id("stSidebarNavLink").filter(has_text=title).click)

    def back(self) -> None:
        """The browser's own way back, to a page of the same visit."""
        self.after(self.page.go_back)

    def choose(self, label: str, option: str) -> None:
        """Pick an option of one of the toolbar's selections."""
        self.page.get_by_role("combobox", name=label, exact=True).click()
        self.after(self.page.get_by_role("option", name=option, exact=True).click)

    def chosen(self, label: str) -> str:
        return self.page.get_by_role("combobox", name=label, exact=True).input_value()

    @property
    def title(self) -> str:
        return self.page.locator("[data-testid=stMain] h1").first.inner_text()

    def text(self) -> str:
        """All that the page says."""
        return self.page.get_by_test_id("stMain").inner_text()

    def metrics(self) -> list[str]:
        """The large numbers of the page."""
        return self.page.get_by_test_id("stMetricValue").all_inner_texts()

    def cut(self) -> list[str]:
        """Texts that are cut or run out of their place, outside of tables that scroll."""
        return [*self.page.evaluate(CUT), *self.page.evaluate(CUT_LABELS)]

    def unnamed(self) -> list[str]:
        """Charts and tables that say nothing to a reader who cannot see them."""
        charts = self.page.locator("[data-testid=stPlotlyChart]").evaluate_all("all => all.map(e => e.getAttribute('aria-label') || '')")
        tables = self.page.locator("[data-testid=stDataFrame]").evaluate_all(
            "all => all.map(e => [...e.querySelectorAll('div[aria-label]')].map(named => named.getAttribute('aria-label')).join(''))"
        )
        return [f"{kind} {place}" for kind, names in (("chart", charts), ("table", tables)) for place, name in enumerate(names) if not name]

    def wrong(self) -> list[str]:
        """Everything that should not be on any page, since the last look."""
        shown = [f"{name}: {text}" for name in ("stException", "stAlertContentError") for text in self._texts(name)]
        found, self.trouble = self.trouble + shown, []
        return found

    def _texts(self, test_id: str) -> list[str]:
        return self.page.get_by_test_id(test_id).all_inner_texts()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:  # those are in `refused`
            self.trouble.append(f"console: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.refused.append(urlsplit(response.url).path)

    def _connected(self, socket: WebSocket) -> None:
        self._asked(socket.url)
        self.socket = socket

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob"):
            self.hosts.add(urlsplit(url).hostname or url)


def is_end_of_run(message: str | bytes) -> bool:
    """Whether the server says that the script has ended."""
    return isinstance(message, bytes) and ForwardMsg.FromString(message).WhichOneof("type") == "script_finished"


@contextmanager
def reading(chromium: Browser, url: str, scheme: Scheme = "light") -> Iterator[Reader]:
    """A reader whose system is light or dark; nothing that the pages ask for may leave the machine."""
    with chromium.new_context(viewport=WIDE, color_scheme=scheme) as context:  # type: ignore[arg-type]
        reader = Reader(context.new_page(), url)
        yield reader
        assert reader.hosts <= {"127.0.0.1"}
