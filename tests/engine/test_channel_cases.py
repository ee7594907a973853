import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from small_series import small_series

from medseg.engine.stages.reading import Discover, Read
from medseg.errors import GeometryMismatch, InputError, UsageError
from medseg.types.channels import WantedChannel
from medseg.types.run import Inputs
from medseg.types.stage import RunContext

MR = (WantedChannel("T1", "MR"), WantedChannel("FLAIR", "MR"))
CT_PET = (WantedChannel("CT", "CT"), WantedChannel("PET", "PT"))
SHAPE = (6, 5, 4)


def scan(path, value, *, spacing=(1.0, 1.0, 1.0), shape=SHAPE):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.full(shape, value, np.int16), np.diag([*spacing, 1.0])), path)


def discover(paths, channels=MR, out=Path("/nowhere"), **options):
    paths = tuple(paths) if isinstance(paths, list) else (paths,)
    stage = Discover(Discover.Options(**options))
    return stage.run(Inputs(paths, channels=channels), RunContext(out))


def values(found, out=Path("/nowhere")):
    """The value of each channel as the reading stage gives it."""
    (read,) = Read(Read.Options()).run(found, RunContext(out)).scans
    return [float(channel.flat[0]) for channel in read.array]


def cases(discovery):
    return {found.case_id: values(found) for found in discovery.found}


def failed(discovery):
    return {left.case_id: left.reason for left in discovery.skipped if left.corrupt}


def in_folders(root):
    for number in (1, 2):
        scan(root / f"p{number}" / "FLAIR.nii.gz", 20 + number)
        scan(root / f"p{number}" / "T1.nii.gz", 10 + number)
        scan(root / f"p{number}" / "seg.nii.gz", 1)


def in_folders_named_after(root):
    for number in (1, 2):
        scan(root / f"p{number}" / f"p{number}_flair.nii.gz", 20 + number)
        scan(root / f"p{number}" / f"p{number}_t1w.nii.gz", 10 + number)


def beside(root):
    for number in (1, 2):
        scan(root / f"p{number}-FLAIR.nii.gz", 20 + number)
        scan(root / f"p{number}-T1.nii.gz", 10 + number)


def in_channel_folders(root):
    for number in (1, 2):
        scan(root / f"p{number}" / "anat" / f"p{number}_FLAIR.nii.gz", 20 + number)
        scan(root / f"p{number}" / "anat" / f"p{number}_T1w.nii.gz", 10 + number)


def in_a_folder_a_channel(root):
    for number in (1, 2):
        scan(root / "FLAIR" / f"p{number}.nii.gz", 20 + number)
        scan(root / "T1" / f"p{number}.nii.gz", 10 + number)


def in_a_folder_a_channel_named_after_it(root):
    for number in (1, 2):
        scan(root / "images" / "FLAIR" / f"p{number}_FLAIR.nii.gz", 20 + number)
        scan(root / "images" / "T1" / f"p{number}_T1w.nii.gz", 10 + number)


def numbered(root):
    for number in (1, 2):
        scan(root / f"p{number}_0000.nii.gz", 10 + number)
        scan(root / f"p{number}_0001.nii.gz", 20 + number)


def numbered_with_description(root):
    root.mkdir()
    (root / "dataset.json").write_text('{"channel_names": {"0": "FLAIR", "1": "T1"}}')
    for number in (1, 2):
        scan(root / "imagesTs" / f"p{number}_0000.nii.gz", 20 + number)
        scan(root / "imagesTs" / f"p{number}_0001.nii.gz", 10 + number)


@pytest.mark.parametrize(
    "make",
    [
        in_folders,
        in_folders_named_after,
        in_a_folder_a_channel,
        in_a_folder_a_channel_named_after_it,
        beside,
        in_channel_folders,
        numbered,
        numbered_with_description,
    ],
)
def test_files_find_their_channels(tmp_path, make):
    make(tmp_path / "given")
    found = discover(tmp_path / "given")
    assert cases(found) == {"p1": [11, 21], "p2": [12, 22]}
    assert failed(found) == {}
    assert found.found[0].notes[0].startswith("Channels are T1: ")


def test_subjects_of_bids_stand_in_the_names_of_their_cases(tmp_path):
    for subject in ("sub-01", "sub-02"):
        for value, name in ((10, "acq-iso_T1w"), (20, "ce-none_FLAIR")):
            scan(tmp_path / subject / "ses-1" / "anat" / f"{subject}_ses-1_{name}.nii.gz", value)
    found = cases(discover(tmp_path))
    assert found == {"sub-01_ses-1": [10.0, 20.0], "sub-02_ses-1": [10.0, 20.0]}


def test_words_for_how_an_image_was_acquired_are_no_case(tmp_path):
    for number in (1, 2):
        scan(tmp_path / "folders" / f"p{number}" / "t1_mprage.nii.gz", 10 + number)
        scan(tmp_path / "folders" / f"p{number}" / "sag_t2_flair.nii.gz", 20 + number)
        scan(tmp_path / "flat" / f"q{number}_T1_MPRAGE.nii.gz", 10 + number)
        scan(tmp_path / "flat" / f"q{number}_T2_FLAIR_3D.nii.gz", 20 + number)
    for folder, letter in (("folders", "p"), ("flat", "q")):
        found = discover(tmp_path / folder)
        assert cases(found) == {f"{letter}1": [11.0, 21.0], f"{letter}2": [12.0, 22.0]}
        assert not failed(found)


def test_planes_that_are_cases_each_stay_so_and_other_contrasts_are_not_taken(tmp_path):
    for plane, value in (("ax", 1), ("sag", 2)):
        for name in ("T1", "FLAIR"):
            scan(tmp_path / "planes" / f"{plane}_{name}.nii.gz", value)
    assert cases(discover(tmp_path / "planes")) == {"ax": [1.0, 1.0], "sag": [2.0, 2.0]}
    for name in ("T1", "T2_FLAIR"):
        scan(tmp_path / "other" / "p1" / f"{name}.nii.gz", 1)
    other = discover(tmp_path / "other", channels=(WantedChannel("T1", "MR"), WantedChannel("T2", "MR")))
    assert not other.found


def test_a_table_names_the_files(tmp_path):
    scan(tmp_path / "x" / "one.nii.gz", 11)
    scan(tmp_path / "x" / "two.nii.gz", 21)
    table = tmp_path / "cases.csv"
    table.write_text("case,FLAIR,T1\nfirst,x/two.nii.gz,x/one.nii.gz\nsecond,x/none.nii.gz,x/one.nii.gz\n")
    found = discover(table)
    assert cases(found) == {"first": [11, 21]}
    assert failed(found) == {"second": "there is not exactly one scan at the path in its row"}
    table.write_text("case,FLAIR\nfirst,x/two.nii.gz\n")
    with pytest.raises(InputError, match="no column for the channel T1"):
        discover(table)


def test_a_table_for_a_model_of_one_channel(tmp_path):
    scan(tmp_path / "one.nii.gz", 11)
    (tmp_path / "cases.csv").write_text("case,image\nfirst,one.nii.gz\n")
    assert cases(discover(tmp_path / "cases.csv", MR[:1])) == {"first": [11]}


def test_a_file_that_holds_all_channels_is_a_case(tmp_path):
    nib.save(nib.Nifti1Image(np.ones((*SHAPE, 2), np.int16), np.eye(4)), tmp_path / "both.nii.gz")
    assert cases(discover(tmp_path)) == {"both": [1, 1]}


def test_what_is_missing_or_unclear_is_said_and_the_others_go_on(tmp_path):
    in_folders(tmp_path)
    (tmp_path / "p1" / "FLAIR.nii.gz").unlink()
    scan(tmp_path / "p3" / "T1.nii.gz", 1)
    scan(tmp_path / "p3" / "t1w.nii.gz", 1)
    scan(tmp_path / "p3" / "FLAIR.nii.gz", 1)
    found = discover(tmp_path)
    assert cases(found) == {"p2": [12, 22]}
    assert failed(found) == {
        "p1": "there is no scan for the channel FLAIR; there are T1.nii.gz",
        "p3": "several scans could be the channel T1: FLAIR.nii.gz, T1.nii.gz, t1w.nii.gz",
    }


def test_names_that_say_nothing_are_not_guessed_and_can_be_given(tmp_path):
    for number in (1, 2):
        scan(tmp_path / f"p{number}_spgr.nii.gz", 10 + number)
        scan(tmp_path / f"p{number}_dark.nii.gz", 20 + number)
    found = discover(tmp_path)
    assert not found.found
    assert all("none of the model's channels (T1, FLAIR)" in reason for reason in failed(found).values())
    assert any("discover.channels.T1=" in (left.fix or "") for left in found.skipped)
    given = Discover(Discover.Options(channels={"T1": "*_spgr", "FLAIR": "*_dark"})).run(
        Inputs((tmp_path,), channels=MR), RunContext(Path("/nowhere"))
    )
    assert cases(given) == {"p1": [11, 21], "p2": [12, 22]}
    with pytest.raises(UsageError, match="the model has no channel 'T2'"):
        Discover(Discover.Options(channels={"T2": "*"})).run(Inputs((tmp_path,), channels=MR), RunContext(Path("/x")))


def series(folder, modality, description, number, *, study="1.2.3", frame="1.2.4", value=100, **options):
    small_series(folder, StudyInstanceUID=study, FrameOfReferenceUID=frame, Modality=modality, SeriesNumber=number,
                 SeriesDescription=description, **options)  # fmt: skip


def test_series_of_a_study_find_their_channels(tmp_path):
    series(tmp_path / "a", "MR", "AX T1 MPRAGE", 1)
    series(tmp_path / "b", "MR", "AX T2 FLAIR", 2)
    series(tmp_path / "c", "MR", "localizer", 3)
    found = discover(tmp_path)
    (case,) = found.found
    assert [scan.series_number for scan in case.channels] == [1, 2]
    assert case.case_id == case.channels[0].case_id
    assert "by modality and description" in case.notes[0]
    assert len(case.files) == 12
    assert any("none of the model's channels" in left.reason for left in found.skipped)


def test_one_series_of_each_modality_needs_no_name(tmp_path):
    series(tmp_path / "a", "PT", "anything", 1)
    series(tmp_path / "b", "CT", "something", 2)
    (case,) = discover(tmp_path, CT_PET).found
    assert [scan.series_number for scan in case.channels] == [2, 1]


def test_series_that_could_both_be_a_channel_are_not_guessed(tmp_path):
    series(tmp_path / "a", "MR", "T1 before", 1)
    series(tmp_path / "b", "MR", "T1 after", 2)
    series(tmp_path / "c", "MR", "FLAIR", 3)
    found = discover(tmp_path)
    assert not found.found
    ((_, reason),) = failed(found).items()
    assert reason.startswith("2 series of this study could be the channel T1")
    assert "before" not in reason
    stage = Discover(Discover.Options(channels={"T1": "*after"}))
    (case,) = stage.run(Inputs((tmp_path,), channels=MR), RunContext(Path("/nowhere"))).found
    assert [scan.series_number for scan in case.channels] == [2, 3]


def test_other_grids_are_resampled_and_it_is_said(tmp_path):
    scan(tmp_path / "p" / "T1.nii.gz", 10)
    scan(tmp_path / "p" / "FLAIR.nii.gz", 20, spacing=(2.0, 2.0, 2.0), shape=(4, 4, 4))
    (case,) = discover(tmp_path).found
    read = Read(Read.Options()).run(case, RunContext(tmp_path)).scan
    assert read.array.shape == (2, *SHAPE)
    assert np.allclose(read.array[1], 20)
    assert any("FLAIR.nii.gz (2 x 2 x 2 mm) was resampled onto the grid of T1.nii.gz" in n for n in read.source.notes)


def test_which_file_is_which_channel_decides_the_record(tmp_path):
    from medseg.engine.journal import hash_case

    in_folders(tmp_path)
    case = discover(tmp_path).found[0]
    assert hash_case(case) != hash_case(replace(case, channels=case.channels[::-1]))


def stated(root, names, numbers):
    root.mkdir()
    (root / "dataset.json").write_text(json.dumps({"channel_names": dict(enumerate(names))}))
    for number in range(numbers):
        scan(root / "imagesTs" / f"p1_{number:04d}.nii.gz", 10 + number)
    return root


@pytest.mark.parametrize(
    ("names", "taken"),
    [(["T1", "T2", "FLAIR"], [10, 12]), (["T2", "T2_FLAIR", "T1w"], [12, 11]), (["t1_mprage", "flair"], [10, 11])],
)
def test_numbers_are_what_dataset_json_calls_them(tmp_path, names, taken):
    assert cases(discover(stated(tmp_path / "given", names, len(names)))) == {"p1": taken}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["T2", "T1"],
            "the channel FLAIR; there are p1_0000.nii.gz, p1_0001.nii.gz; dataset.json calls p1_0000.nii.gz T2",
        ),
        (["CT", "PET"], "dataset.json calls p1_0000.nii.gz CT, p1_0001.nii.gz PET"),
    ],
)
def test_a_dataset_json_of_other_channels_fails_its_cases(tmp_path, names, said):
    found = discover(stated(tmp_path / "given", names, 2))
    assert not found.found
    assert failed(found)["p1"].endswith(said)
    assert "channel_names" in next(left.fix for left in found.skipped if left.corrupt)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"channel_names":\n {"0": "FLAIR",}}', r"dataset\.json: cannot be read as JSON \(.*line 2"),
        ('["FLAIR", "T1"]', r"dataset\.json: is not a JSON object"),
        ('{"channel_names": {"FLAIR": 0}}', r"dataset\.json: 'channel_names' does not map numbers to names"),
    ],
)
def test_a_dataset_json_that_cannot_be_read_is_not_as_good_as_none(tmp_path, text, said):
    numbered_with_description(tmp_path / "given")
    (tmp_path / "given" / "dataset.json").write_text(text)
    with pytest.raises(InputError, match=said):
        discover(tmp_path / "given")


@pytest.mark.parametrize(
    "text", ['\ufeff{"channel_names": {"0": "FLAIR", "1": "T1"}}', '{"modality": ["FLAIR", "T1"]}']
)
def test_a_dataset_json_is_read_with_a_byte_order_mark_and_as_a_list(tmp_path, text):
    numbered_with_description(tmp_path / "given")
    (tmp_path / "given" / "dataset.json").write_text(text, encoding="utf-8")
    assert cases(discover(tmp_path / "given")) == {"p1": [11, 21], "p2": [12, 22]}


def test_more_numbers_than_channels_are_not_cut_to_the_first(tmp_path):
    numbered(tmp_path)
    scan(tmp_path / "p1_0002.nii.gz", 31)
    scan(tmp_path / "visit_2019.nii.gz", 1)
    found = discover(tmp_path)
    assert cases(found) == {"p2": [12, 22]}
    assert list(failed(found)) == ["p1"]
    assert failed(found)["p1"].startswith("more numbered files than the model has channels (T1, FLAIR), and no dataset")


def test_a_number_behind_a_channel_s_name_is_the_case_s(tmp_path):
    for number in range(2):
        scan(tmp_path / f"T1_{number:04d}.nii.gz", 10 + number)
        scan(tmp_path / f"FLAIR_{number:04d}.nii.gz", 20 + number)
    assert cases(discover(tmp_path)) == {"0000": [10, 20], "0001": [11, 21]}


@pytest.mark.parametrize("names", [("same", "same"), ("a/b", "a b"), ("A_b", "a_b")])
def test_rows_of_one_case_id_are_refused(tmp_path, names):
    for channels, header in ((MR, "case,T1,FLAIR"), (MR[:1], "case,T1")):
        row = ",x.nii.gz" * len(channels)
        (tmp_path / "cases.csv").write_text("\n".join((header, f"other{row}", *(name + row for name in names))))
        with pytest.raises(InputError, match="rows 2, 3, counted without the header"):
            discover(tmp_path / "cases.csv", channels)


def test_cases_of_a_table_and_of_a_folder_keep_apart(tmp_path):
    in_folders(tmp_path / "a")
    (tmp_path / "cases.csv").write_text("case,T1,FLAIR\np1,a/p2/T1.nii.gz,a/p2/FLAIR.nii.gz\n")
    found = discover([tmp_path / "a", tmp_path / "cases.csv"]).found
    assert len({one.case_id for one in found}) == 3
    assert "p1" in {one.case_id for one in found}


def test_a_case_that_fails_has_an_id_of_its_own(tmp_path):
    nib.save(nib.Nifti1Image(np.ones((*SHAPE, 2), np.int16), np.eye(4)), tmp_path / "p1.nii.gz")
    scan(tmp_path / "p1_T1.nii.gz", 1)
    found = discover(tmp_path)
    assert list(failed(found)) == ["p1"]
    assert len(found.found) == 1
    assert found.found[0].case_id.startswith("p1-")


def test_channels_that_overlap_nowhere_fail_and_those_that_cover_little_are_warned_of(tmp_path):
    scan(tmp_path / "p" / "T1.nii.gz", 10)
    scan(tmp_path / "p" / "FLAIR.nii.gz", 20, shape=(6, 5, 2))
    (case,) = discover(tmp_path).found
    read = Read(Read.Options())
    (warning,) = read.run(case, RunContext(tmp_path)).scan.source.warnings
    assert warning.startswith("FLAIR.nii.gz covers only 50% of the grid of T1.nii.gz")
    far = nib.Nifti1Image(
        np.full(SHAPE, 20, np.int16), np.array([[1, 0, 0, 900], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    )
    nib.save(far, tmp_path / "p" / "FLAIR.nii.gz")
    with pytest.raises(GeometryMismatch, match="overlaps nowhere with T1"):
        read.run(case, RunContext(tmp_path))


def test_files_of_one_name_are_shown_with_their_folders(tmp_path):
    in_a_folder_a_channel(tmp_path)
    assert discover(tmp_path).found[0].file_name == "T1: T1/p1.nii.gz; FLAIR: FLAIR/p1.nii.gz"
