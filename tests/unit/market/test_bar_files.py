"""Bars from files as others write them; what cannot be read is named with its line and its cure."""

import gzip
import warnings
from datetime import UTC, date, datetime
from decimal import Decimal

import fastparquet
import pandas
import pytest

from market.core.adjustment import DayBar
from market.sample_data import BARS_FILE, adjusted_bars
from market.services.bar_files import BarFileError, day_bars, read_bars

HEADER = "symbol,date,open,high,low,close,volume\n"
ROW = "IBM,2004-01-05,91,92.5,90,92,1000\n"
BAR = DayBar("IBM", date(2004, 1, 5), Decimal(91), Decimal("92.5"), Decimal(90), Decimal(92), Decimal(1000))


def written(tmp_path, text, name="bars.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def read(path, **options):
    return list(day_bars(read_bars(path, **options), path=path))


@pytest.mark.parametrize(
    "text",
    [
        HEADER + ROW,
        "\ufeff" + HEADER + ROW,  # as a spreadsheet saves it
        HEADER.replace("\n", "\r\n") + ROW.replace("\n", "\r\n") + "\r\n",
        "Ticker,Timestamp,Close,Low,High,Open,Vol,Trades\nIBM,2004-01-05 00:00:00,92,90,92.5,91,1000,7\n",
        '"SYMBOL","DAY","O","H","L","C","V"\n"IBM","2004-01-05","91","92.5","90","92","1000"\n',
        "symbol,time,open,high,low,close,volume\nIBM,2004-01-05T00:00:00Z,91,92.5,90,92,1e3\n",
    ],
    ids=["plain", "with a mark of byte order", "from Windows", "other names", "quoted", "midnight"],
)
def test_the_same_bar_in_the_ways_that_others_write_it(tmp_path, text):
    assert read(written(tmp_path, text)) == [BAR]


def test_a_compressed_file_is_read_as_it_comes(tmp_path):
    path = tmp_path / "bars.csv.gz"
    path.write_bytes(gzip.compress((HEADER + ROW * 3).encode()))
    assert read(path) == [BAR] * 3


def test_columns_may_be_named_and_the_symbol_told(tmp_path):
    path = written(tmp_path, "when,open,high,low,Last Price\n2004-01-05,91,92.5,90,92\n")
    (bar,) = read(path, columns={"day": "when", "close": "last price"}, symbol="IBM")
    assert (bar.symbol, bar.day, bar.close, bar.volume) == ("IBM", date(2004, 1, 5), 92, 0)


def test_the_shipped_bars_are_read_and_adjusted_like_the_sample():
    rows = read(BARS_FILE, columns={"adjusted_close": "Adj Close"})
    assert rows == adjusted_bars()


def test_without_being_named_an_adjusted_close_is_left_alone():
    assert read(BARS_FILE)[0].close != adjusted_bars()[0].close


def test_a_time_of_day_is_kept_in_utc_and_is_no_whole_day(tmp_path):
    path = written(tmp_path, HEADER + ROW.replace("2004-01-05", "2004-01-05T10:00:00-05:00"))
    (row,) = read_bars(path)
    assert row.at == datetime(2004, 1, 5, 15, 0, tzinfo=UTC)
    with pytest.raises(BarFileError, match="line 2: the bar is of 15:00:00, but only bars of whole days"):
        read(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("symbol,date,open,high,low\n", "no column is 'close' .or close, c.; there are: symbol, date"),
        ("date,open,high,low,close\n", "there is no column of symbols"),
        ("symbol,date,time,open,high,low,close\n", "several columns could be 'day'"),
        (HEADER + ROW + "IBM,2004-01-06,91,x,90,92,1000\n", "line 3: high is no number: 'x'"),
        (HEADER + "IBM,2004-01-05,91,,90,92,1000\n", "line 2: high must have 1 to"),
        (HEADER + "IBM,2004-01-05,91\n", "line 2: the row ends before high"),
        (HEADER + "IBM,5.1.2004,91,92,90,92,1000\n", "line 2: '5.1.2004' is no day like"),
        (HEADER + "IBM,2004-01-05 10:00:00,91,92,90,92,1\n", "line 2: the time .* has no zone"),
        (HEADER + "I" * 101 + ROW, "line 2: symbol must have 1 to 100 characters"),
        (HEADER + '"IBM,2004', "unexpected end of data"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, text, message):
    with pytest.raises(BarFileError, match=message):
        read(written(tmp_path, text))


def test_a_row_that_cannot_be_adjusted_is_named(tmp_path):
    path = written(tmp_path, HEADER.replace("volume", "volume,adj") + ROW.replace("1000", "1000,NaN"))
    with pytest.raises(BarFileError, match="line 2: cannot be adjusted: all numbers must be finite"):
        read(path, columns={"adjusted_close": "adj"})


def test_a_column_that_is_not_there_and_one_that_is_not_ours_are_named(tmp_path):
    path = written(tmp_path, HEADER + ROW)
    with pytest.raises(BarFileError, match="there is no column 'last'; there are: symbol, date"):
        read(path, columns={"close": "last"})
    with pytest.raises(BarFileError, match="no column 'colour' to be named"):
        read(path, columns={"colour": "open"})


def test_a_file_of_another_kind_and_a_damaged_one_are_named(tmp_path):
    with pytest.raises(BarFileError, match=r"must end in \.csv or \.csv\.gz"):
        read(written(tmp_path, HEADER + ROW, "bars.xlsx"))
    with pytest.raises(BarFileError, match="Not a gzipped file"):
        read(written(tmp_path, HEADER + ROW, "bars.csv.gz"))
    path = tmp_path / "cut.csv.gz"
    path.write_bytes(gzip.compress((HEADER + ROW * 1000).encode())[:-20])
    with pytest.raises(BarFileError, match="ended before"):
        read(path)
    path = tmp_path / "latin.csv"
    path.write_bytes(HEADER.encode() + b"\xe9" + ROW.encode())
    with pytest.raises(BarFileError, match="utf-8"):
        read(path)


class TestParquet:
    @pytest.fixture
    def written(self, tmp_path):
        def written(**columns):
            path = tmp_path / "bars.parquet"
            with warnings.catch_warnings(action="ignore"):  # of pandas, of how the library writes time zones
                fastparquet.write(str(path), pandas.DataFrame(columns), row_group_offsets=2)
            return path

        return written

    @pytest.mark.parametrize(
        "day",
        [
            ["2004-01-05", "2004-01-06", "2004-01-07"],
            pandas.to_datetime(["2004-01-05", "2004-01-06", "2004-01-07"]),
            pandas.to_datetime(["2004-01-05", "2004-01-06", "2004-01-07"], utc=True),
        ],
        ids=["text", "time without a zone", "time with a zone"],
    )
    def test_the_same_bars_with_numbers_as_they_were(self, written, day):
        path = written(
            Ticker=["IBM"] * 3, date=day, open=[91.0] * 3, high=[92.5] * 3, low=[90.0] * 3,
            close=[92.0, 91.1, 0.1], volume=[1000, 1001, 1002],
        )  # fmt: skip
        bars = read(path)
        assert bars[0] == BAR
        assert [(bar.day.day, bar.close, bar.volume) for bar in bars[1:]] == [
            (6, Decimal("91.1"), 1001), (7, Decimal("0.1"), 1002),
        ]  # fmt: skip

    def test_a_time_of_day_is_a_moment(self, written):
        path = written(
            symbol=["IBM"], time=pandas.to_datetime(["2024-03-04T15:00:00Z"]), open=[1.5], high=[1.5], low=[1.5],
            close=[1.5],
        )  # fmt: skip
        (row,) = read_bars(path)
        assert (row.line, row.at, row.bar.volume) == (2, datetime(2024, 3, 4, 15, tzinfo=UTC), 0)

    def test_what_is_missing_is_named_as_in_other_files(self, written):
        with pytest.raises(BarFileError, match="no column is 'close'"):
            read(written(symbol=["IBM"], day=["2004-01-05"], open=[1.0], high=[1.0], low=[1.0]))
        path = written(symbol=["IBM"], day=["soon"], open=[1.0], high=[1.0], low=[1.0], close=[1.0])
        with pytest.raises(BarFileError, match="line 2: 'soon' is no day"):
            read(path)

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(60) + b"PAR1", b"symbol,day\n"])
    def test_a_file_that_is_none_is_refused(self, tmp_path, content):
        path = tmp_path / "bars.parquet"
        path.write_bytes(content)
        with pytest.raises(BarFileError, match="no Parquet file that can be read"):
            read(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "bars.parquet")
