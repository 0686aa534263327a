"""The page of `mynah curate` in a terminal: a candidate, what is known of it, and one key for each decision."""

import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Point
from prompt_toolkit.filters import Always, Condition, Filter
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    VSplit,
    Window,
)
from prompt_toolkit.layout.dimension import Dimension
from prompt_toolkit.styles import Style
from prompt_toolkit.utils import get_cwidth

from jobs.curate.nearest import Corpus, Near, Origin, earlier
from jobs.curate.session import Session
from jobs.curate.wrap import marked
from mynah.curation import NO_REASON
from mynah.database.tweets import Tweet
from mynah.tweet import weight

KEYS = (
    ("a", "approve", "approve it, and go on"),
    ("r", "reject", "reject it, and go on"),
    ("w", "why", "reject it and say why; Up brings earlier reasons"),
    ("e", "edit", "edit it; it is judged again"),
    ("s", "skip", "leave it to others; it comes again at the end"),
    ("u", "undo", "take back your last decision, and the one before, and so on"),
    ("?", "keys", "show or hide this"),
    ("q", "quit", "quit; so does Ctrl-C: all you decided is kept"),
)
STYLE = Style.from_dict(
    {
        "bar": "reverse",
        "quiet": "fg:ansibrightblack",
        "text": "bold",
        "copied": "underline fg:ansiyellow",
        "says": "fg:ansicyan",
        "key": "bold",
        "label": "fg:ansibrightblack",
    }
)
ESCAPE = 0.05  # seconds that a lone Esc is waited on, to tell it from Alt


class Page:
    """One run of the page."""

    def __init__(self, session: Session, corpus: Corpus) -> None:
        self.session, self.corpus = session, corpus
        self.help = False
        self.top = 0  # the first line of the body that is shown
        self.origin: Origin | None = None
        self.earlier: Near | None = None
        self.asks: str | None = None  # "edit" or "why", while a line is typed
        self.passed_over: str | None = None  # the text about which the judge's doubts were shown
        self.asked_about: tuple[int, int] | None = None
        self.candidates: SimpleQueue[Tweet] = SimpleQueue()  # to be looked up in the corpus
        self.field = Buffer(multiline=True, history=InMemoryHistory(), accept_handler=lambda _: True)
        self.middle = Window(
            FormattedTextControl(
                self._middle, focusable=True, show_cursor=False, get_cursor_position=lambda: Point(0, self.top)
            ),
            get_vertical_scroll=lambda _: self.top,
        )
        self.app: Application[None] = Application(
            Layout(self._body(), self.middle),
            key_bindings=self._keys(),
            style=STYLE,
            full_screen=True,
            mouse_support=False,
        )
        self.app.ttimeoutlen = ESCAPE
        self.app.timeoutlen = ESCAPE

    def run(self) -> str:
        """Until the person quits; returns what was done, and an edit that was not finished."""
        self.session.go_on()
        threading.Thread(target=self._look_up, daemon=True).start()
        try:
            self.app.run(pre_run=self._ask_around, handle_sigint=False)
        finally:
            done = self.session.end()
        if self.asks == "edit" and self.session.tweet and self.field.text != self.session.tweet.text:
            done += f"\nyour edit of tweet {self.session.tweet.id} was not finished: {self.field.text}"
        return done

    # What is shown.

    def _body(self) -> HSplit:
        typing = Condition(lambda: self.asks is not None)
        height = lambda: Dimension(min=1, max=6, preferred=self._field_height())  # noqa: E731
        label = Window(FormattedTextControl(lambda: [("class:label", f" {self.asks}  ")]), width=7, height=height)
        field = Window(BufferControl(self.field), wrap_lines=True, height=height, dont_extend_height=True)
        return HSplit(
            [
                Window(FormattedTextControl(self._top), height=1, style="class:bar"),
                self.middle,
                ConditionalContainer(VSplit([label, field]), typing),
                Window(
                    FormattedTextControl(self._says),
                    height=Dimension(min=1, max=3),
                    dont_extend_height=True,
                ),
                Window(FormattedTextControl(self._bottom), height=1, style="class:bar"),
            ]
        )

    def _field_height(self) -> int:
        return len(marked(self.field.text or " ", self._width() - 8, ""))

    def _width(self) -> int:
        return self.app.output.get_size().columns

    def _top(self) -> StyleAndTextTuples:
        session = self.session
        mine = [f"{session.done[what]} {what}" for what in ("approved", "rejected") if session.done[what]]
        mine += [f"{len(session.skipped)} skipped"] if session.skipped else []
        parts = [
            session.bot.name,
            f"{session.counts['candidate']} candidates",
            f"{session.counts['approved']} approved",
        ]
        parts += [f"you: {', '.join(mine)}"] if mine else []
        parts += [f"with {', '.join(session.others)}"] if session.others else []
        return [("", f" {' · '.join(parts)}")]

    def _says(self) -> StyleAndTextTuples:
        said = marked(self.session.says, self._width() - 1, "class:says", indent=" ")
        return [fragment for line in said for fragment in (*line, ("", "\n"))][:-1]

    def _bottom(self) -> StyleAndTextTuples:
        if self.asks:
            enter = "take it" if self.asks == "edit" else "reject"
            return [("", f" Enter {enter} · Esc leave · Alt-Enter new line")]
        room = self._width()
        for shape in (" {0} {1} ", " {0} {1}", "{0} "):
            said = [(key, shape.format(key, word)) for key, word, _ in KEYS]
            if sum(get_cwidth(text) for _, text in said) < room:
                break
        return [("class:key", text) for _, text in said]

    def _middle(self) -> StyleAndTextTuples:
        width = self._width() - 1
        shown = self._help(width) if self.help else self._tweet(width)
        height = max(1, self.app.output.get_size().rows - 3)
        self.top = max(0, min(self.top, len(shown) - height))
        return [fragment for line in shown for fragment in (*line, ("", "\n"))]

    def _help(self, width: int) -> list[StyleAndTextTuples]:
        rows = [line for key, _, says in KEYS for line in marked(f"{key}   {says}", width, "", indent=" ")]
        more = "The line under a text tells its nearest training text; what it copies word for word is underlined."
        return [[("", "")], *rows, *marked("Up and Down scroll a long text.", width, "", indent=" "), [("", "")],
                *marked(more, width, "class:quiet", indent=" ")]  # fmt: skip

    def _tweet(self, width: int) -> list[StyleAndTextTuples]:
        tweet, limit = self.session.tweet, self.session.bot.judge.max_weight
        if tweet is None:
            return [
                [("", "")],
                *marked("Nothing is left. u undoes, q quits.", width, "class:text", indent=" "),
            ]
        score = "no score" if tweet.score is None else f"score {tweet.score:.2f}"
        facts = [f"tweet {tweet.id}", score, f"weight {weight(tweet.text)} of {limit}", f"revision {tweet.revision}"]
        facts += (
            [] if tweet.state == "candidate" else [f"{tweet.state}" + (f" ({tweet.reason})" if tweet.reason else "")]
        )
        shown = marked(" · ".join(facts), width, "class:quiet", indent=" ")
        copied = self.origin.copied if self.origin else ()
        shown += [[("", "")], *marked(tweet.text, width, "class:text", copied, "class:copied", " "), [("", "")]]
        for label, value in self._about():
            shown += marked(f"{label:<9}{value}", width, "", [(0, len(label))], "class:label", " ")
        return shown

    def _about(self) -> list[tuple[str, str]]:
        tweet, origin = self.session.tweet, self.origin
        assert tweet  # noqa: S101 — nothing is told of none
        said = [("prompt", tweet.prompt)] if tweet.prompt.strip() else []
        if tweet.scores:
            said.append(("scores", " · ".join(f"{name} {value:.2f}" for name, value in tweet.scores.items())))
        if tweet.text != tweet.written:
            said.append(("written", tweet.written))
        if origin is None:
            said.append(("corpus", "looking …"))
        elif origin.note or origin.nearest is None:
            said.append(("corpus", origin.note or "nothing like it"))
        else:
            share = sum(end - begin for begin, end in origin.copied) / max(1, len(tweet.text))
            word_for_word = f", {share:.0%} word for word" if share else ""
            said.append(("corpus", f"({origin.nearest.alike:.0%} alike{word_for_word}) {origin.nearest.text}"))
        if self.earlier:
            said.append(("earlier", f"({self.earlier.where}, {self.earlier.alike:.0%} alike) {self.earlier.text}"))
        else:
            said.append(("earlier", "nothing like it was posted or approved"))
        said.append(("model", tweet.model or "a person"))
        return said

    # What is done.

    def _ask_around(self) -> None:
        """Have the texts nearest to a new candidate looked up; those of the corpus while the person reads."""
        tweet = self.session.tweet
        asked = (tweet.id, tweet.revision) if tweet else None
        if asked == self.asked_about:
            return
        self.asked_about, self.origin, self.earlier, self.top = asked, None, None, 0
        if tweet is None:
            return
        self.earlier = earlier(self.session.connection, tweet)
        self.candidates.put(tweet)

    def _look_up(self) -> None:
        """Look up the newest candidate that was asked for, again and again: in a thread that ends with the process."""
        while tweet := self.candidates.get():
            while not self.candidates.empty():
                tweet = self.candidates.get()
            origin = self.corpus.origin(tweet)
            with suppress(RuntimeError):  # the page has ended
                if self.app.loop:
                    self.app.loop.call_soon_threadsafe(self._found, (tweet.id, tweet.revision), origin)

    def _found(self, asked: tuple[int, int], origin: Origin) -> None:
        if asked == self.asked_about:
            self.origin = origin
            self.app.invalidate()

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()
        typing = Condition(lambda: self.asks is not None)
        deciding = ~typing & Condition(lambda: self.session.tweet is not None)

        def on(*names: str, filter: Filter | None = None) -> Callable[[Callable[[], None]], None]:
            def bind(act: Callable[[], None]) -> None:
                def pressed(event: KeyPressEvent) -> None:
                    try:
                        act()
                        self._ask_around()
                    except Exception as error:
                        event.app.exit(exception=error)

                keys.add(*names, filter=filter if filter is not None else ~typing)(pressed)

            return bind

        on("a", filter=deciding)(lambda: self.session.decide("approved"))
        on("r", filter=deciding)(lambda: self.session.decide("rejected", NO_REASON))
        on("w", filter=deciding)(lambda: self._ask("why", ""))
        on("e", filter=deciding)(lambda: self._ask("edit", self.session.tweet.text if self.session.tweet else ""))
        on("s", filter=deciding)(self.session.skip)
        on("u")(self.session.undo)
        on("?")(self._toggle_help)
        on("q")(self._quit)
        on("c-c", filter=Always())(self._quit)
        on("down")(lambda: self._scroll(1))
        on("up")(lambda: self._scroll(-1))
        on("enter", filter=typing)(self._typed)
        on("escape", "enter", filter=typing)(lambda: self.field.insert_text("\n"))
        on("escape", filter=typing)(self._leave)
        on("up", filter=typing)(lambda: self.field.auto_up(go_to_start_of_line_if_history_changes=False))
        on("down", filter=typing)(lambda: self.field.auto_down(go_to_start_of_line_if_history_changes=False))
        return keys

    def _quit(self) -> None:
        if not self.app.is_done:
            self.app.exit()

    def _toggle_help(self) -> None:
        self.help, self.top = not self.help, 0

    def _scroll(self, lines: int) -> None:
        self.top = max(0, self.top + lines)

    def _ask(self, what: str, text: str) -> None:
        self.asks, self.help, self.session.says, self.passed_over = what, False, "", None
        self.field.reset()
        self.field.insert_text(text)
        self.app.layout.focus(self.field)

    def _leave(self) -> None:
        self.asks = None
        self.app.layout.focus(self.middle)

    def _typed(self) -> None:
        """Enter: take what was typed."""
        text = self.field.text.strip()
        if self.asks == "why":
            self.field.append_to_history()
            self._leave()
            self.session.decide("rejected", text or NO_REASON)
            return
        tweet = self.session.tweet
        if tweet is None or text == tweet.text:
            self._leave()
            return
        doubts = self.session.doubts(text, self.corpus.copied(tweet))
        if doubts and self.passed_over != text:
            self.passed_over, self.session.says = text, f"{doubts}; Enter again takes it all the same"
            return
        if self.session.edit(text):
            self._leave()
