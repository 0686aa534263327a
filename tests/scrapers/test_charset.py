"""Pages in the encodings that they have, whatever is said of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrapers.charset import decode

PAGE = "<html><head>{meta}</head><body>Овен: сегодня звёзды советуют не вставать с постели — и завтра тоже.</body>"


@pytest.mark.parametrize(
    ("encoding", "header", "meta"),
    [
        ("utf-8", "", ""),
        ("utf-8", "text/html; charset=windows-1251", ""),  # a server's default, which is wrong
        ("utf-8", "text/html", "<meta charset=latin-1>"),
        ("utf-8", "text/html; charset=utf-16", ""),
        ("cp1251", "text/html; charset=windows-1251", ""),
        ("cp1251", "text/html; charset=utf-8", "<meta http-equiv=Content-Type content='text/html; charset=cp1251'>"),
        ("cp1251", "", "<meta charset=windows-1251>"),
        ("cp1251", "text/html; charset=none-such", ""),
        ("koi8-r", "text/html;charset=koi8-r", "<meta charset=utf-8>"),
        ("utf-16", "", ""),
        ("utf-8-sig", "text/html; charset=latin-1", ""),
    ],
)
def test_a_page_is_read_in_its_own_encoding(encoding: str, header: str, meta: str) -> None:
    page = PAGE.format(meta=meta)
    if encoding == "koi8-r":
        page = page.replace("—", "-")
    assert decode(page.encode(encoding), header) == page


def test_a_few_broken_bytes_do_not_make_it_another_encoding() -> None:
    page = PAGE.format(meta="").encode()
    broken = page[:60] + b"\xff" + page[60:-3]  # cut in the middle of a character, as a long page is
    assert "советуют не вставать с постели" in decode(broken, "text/html; charset=utf-8")


def test_an_ascii_page_of_a_stateful_encoding() -> None:
    page = "<p>星占い"
    assert decode(page.encode("iso-2022-jp"), "text/html; charset=iso-2022-jp") == page


@given(st.binary(), st.text())
def test_anything_is_read(body: bytes, header: str) -> None:
    decode(body, header)
