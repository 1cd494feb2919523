"""What is said of a place that may not be written or is full: where it is, and what says where else to write."""

from pathlib import Path

import pytest

from harness.base.errors import UserError, explain, writing


def test_what_may_not_be_written_is_named_with_the_option_that_says_where_else(tmp_path):
    for place in ("/sys/a.csv", "/sys/a/b.csv"):  # where not even root may
        with pytest.raises(
            UserError, match=rf"^{place}: no permission to write in the folder /sys; --out says where else"
        ):
            write("--out", place)


def test_what_is_none_of_the_option_s_places_is_told_as_before(tmp_path):
    with pytest.raises(PermissionError) as error, writing("--out", tmp_path / "a.csv"):
        Path("/sys/other.csv").touch()
    assert explain(error.value).startswith("no permission: /sys/other.csv\nResults go to `outputs=FOLDER`")


def test_a_full_disk_is_named_though_a_write_does_not_say_where_it_went(tmp_path):
    (tmp_path / "a.csv").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as error:
        write("--out", str(tmp_path / "a.csv"))
    assert explain(error.value).startswith(f"no space left on the device: {tmp_path}/a.csv\n")
    unnamed = OSError(28, "No space left on device")
    assert explain(unnamed, tmp_path).startswith(f"no space left on the device: {tmp_path}\n")
    assert explain(unnamed).startswith("no space left on the device\n")


def write(option, place):
    with writing(option, Path(place)):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).write_text("a", encoding="utf-8")
