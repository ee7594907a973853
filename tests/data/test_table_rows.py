import numpy as np
import pytest
from small_files import classes, noise, volume

from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2):
        for name in ("ct", "pet"):
            volume(tmp_path / "data" / f"{name}{number}.nii.gz", noise(seed=number))
        volume(tmp_path / "data" / f"label{number}.nii.gz", classes())
        for value, name in enumerate(("liver", "spleen"), start=1):
            volume(tmp_path / "data" / f"{name}{number}.nii.gz", (classes() == value).astype(np.uint8))
    return tmp_path


ONE = "data/ct1.nii.gz", "data/label1.nii.gz"
TWO = "data/ct2.nii.gz", "data/label2.nii.gz"
SPELLINGS = {
    "capitals, case last": "Image,Label,Case\n{},{},a\n{},{},b\n",
    "semicolons": "case;image;label\na;{};{}\nb;{};{}\n",
    "tabs": "case\timage\tlabel\na\t{}\t{}\nb\t{}\t{}\n",
    "bars": "case|image|label\na|{}|{}\nb|{}|{}\n",
    "blanks": "case, image ,label \n a , {} , {}\n b,{} ,{} \n",
    "byte order mark": "\ufeffcase,image,label\na,{},{}\nb,{},{}\n",
    "empty last row": "case,image,label\na,{},{}\nb,{},{}\n,,\n\n",
    "empty last column": "case,image,label,\na,{},{},\nb,{},{},\n",
    "lines of Windows": "case,image,label\r\na,{},{}\r\nb,{},{}\r\n",
    "quotes": '"case","image","label"\n"a","{}","{}"\n"b","{}","{}"\n',
    "paths": "case_id,image_path,mask_path\na,{},{}\nb,{},{}\n",
    "words": "ID,Scan,Segmentation\na,{},{}\nb,{},{}\n",
    "longer words": "ID\timage_filepath\tmask_filepath\na\t{}\t{}\nb\t{}\t{}\n",
    "German": "Fall-ID;Bild;Maske;Größe\na;{};{};3,5\nb;{};{};4\n",
    "Excel's hint": "sep=;\ncase;image;label\na;{};{}\nb;{};{}\n",
    "a comment": "# made in March\ncase,image,label\na,{},{}\nb,{},{}\n",
    "files": "name,img_file,ground truth\na,{},{}\nb,{},{}\n",
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_a_table_is_read_in_every_usual_spelling(folder, name):
    (folder / "cases.csv").write_text(SPELLINGS[name].format(*ONE, *TWO), newline="")
    dataset = read_dataset(folder / "cases.csv")
    cases = {case.case_id: (case.images, case.reference) for case in dataset.cases}
    assert cases == {
        "a": ((folder / ONE[0],), folder / ONE[1]),
        "b": ((folder / TWO[0],), folder / TWO[1]),
    }
    assert [channel.name for channel in dataset.channels] == ["image"]


@pytest.mark.parametrize("missing", ["NaN", "None", "null", "#N/A"])
def test_what_programs_write_for_no_value_is_none(folder, missing):
    (folder / "cases.csv").write_text(
        "case,image,label\na,{},{}\nb,{},MISSING\n".format(*ONE, TWO[0]).replace("MISSING", missing)
    )
    assert [case.reference for case in read_dataset(folder / "cases.csv").cases] == [folder / ONE[1], None]


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252"])
def test_what_spreadsheets_save_is_read(folder, encoding):
    (folder / "cases.csv").write_text("case,image,label,center\na,{},{},Köln\n".format(*ONE), encoding=encoding)
    assert len(read_dataset(folder / "cases.csv").cases) == 1


def test_paths_of_windows(folder):
    (folder / "cases.csv").write_text("case,image,label\na,{},{}\n".format(*(p.replace("/", "\\") for p in ONE)))
    assert read_dataset(folder / "cases.csv").cases[0].images[0].is_file()


@pytest.mark.parametrize("column", ["patient_id", "subject", "PatientID", "Subject ID", "participant_id"])
def test_a_column_of_patients_groups_cases_named_after_their_files(folder, column):
    (folder / "cases.csv").write_text(f"{column},image,label\np,{ONE[0]},{ONE[1]}\np,{TWO[0]},{TWO[1]}\n")
    dataset = read_dataset(folder / "cases.csv")
    assert [(case.case_id, case.group) for case in dataset.cases] == [("ct1", "p"), ("ct2", "p")]


def test_columns_without_files_are_no_channels(folder):
    (folder / "cases.csv").write_text("case,image,label,age,sex\na,{},{},71,F\n".format(*ONE))
    assert [channel.name for channel in read_dataset(folder / "cases.csv").channels] == ["image"]


def test_the_table_of_gandlf(folder):
    text = "SubjectID,Channel_0,Channel_1,Label\n"
    text += "p1,data/ct1.nii.gz,data/pet1.nii.gz,data/label1.nii.gz\n"
    text += "p2,data/ct2.nii.gz,data/pet2.nii.gz,data/label2.nii.gz\n"
    (folder / "cases.csv").write_text(text)
    dataset = read_dataset(folder / "cases.csv")
    assert [case.case_id for case in dataset.cases] == ["p1", "p2"]
    assert [channel.name for channel in dataset.channels] == ["Channel_0", "Channel_1"]


@pytest.mark.parametrize(
    "header", ["case,image,liver,spleen", "case,CT,label_liver,label_spleen", "Case,Image,mask liver,mask spleen"]
)
def test_a_column_a_class(folder, header):
    rows = [f"c{n},data/ct{n}.nii.gz,data/liver{n}.nii.gz,data/spleen{n}.nii.gz\n" for n in (1, 2)]
    (folder / "cases.csv").write_text(f"{header}\n{''.join(rows)}")
    dataset = read_dataset(folder / "cases.csv")
    assert [(c.value, c.name) for c in dataset.table] == [(1, "liver"), (2, "spleen")]
    assert len(dataset.channels) == 1
    assert "holds the mask of a class" in dataset.read_as[0]
    assert np.array_equal(read_case(dataset, dataset.cases[0])[1].array, classes())


def test_a_table_without_rows_is_an_error(folder):
    (folder / "cases.csv").write_text("\n;;\n")
    with pytest.raises(InputError, match="it has no rows"):
        read_dataset(folder / "cases.csv")


def test_columns_that_end_in_mask_hold_a_class_each(folder):
    rows = "".join(f"p{n};data/ct{n}.nii.gz;data/liver{n}.nii.gz;data/spleen{n}.nii.gz\n" for n in (1, 2))
    (folder / "cases.csv").write_text(f"Pat.-Nr.;Volume Path;Liver Mask;Spleen Mask\n{rows}")
    dataset = read_dataset(folder / "cases.csv")
    assert [entry.name for entry in dataset.table] == ["Liver", "Spleen"]
    assert [case.group for case in dataset.cases] == ["p1", "p2"]
    assert np.array_equal(read_case(dataset, dataset.cases[0])[1].array, classes())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data/ct1.nii.gz,data/label1.nii.gz\ndata/ct2.nii.gz,data/label2.nii.gz\n", "first row names files"),
        ("case,T1,T2\na,data/ct1.nii.gz,data/label1.nii.gz\n", "no column holds labels; it has case, T1, T2"),
    ],
)
def test_tables_that_do_not_say_what_is_what_are_refused_in_words(folder, text, said):
    (folder / "cases.csv").write_text(text)
    with pytest.raises(InputError, match=said):
        read_dataset(folder / "cases.csv")


@pytest.mark.parametrize(("column", "yes", "no"), [("is_test", "1", "0"), ("Is Test", "True", "False")])
def test_a_column_says_which_rows_are_test_cases(folder, column, yes, no):
    rows = f"case,image,label,{column}\na,{ONE[0]},{ONE[1]},{no}\nb,{TWO[0]},{TWO[1]},{yes}\n"
    (folder / "cases.csv").write_text(rows)
    data = read_dataset(folder / "cases.csv")
    assert [case.split for case in data.cases] == ["train", "test"]
    assert len(data.channels) == 1
