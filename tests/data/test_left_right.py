import pytest

from medseg.data.left_right import paired_classes, side_by_name


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left kidney", "right kidney"),
        ("kidney_left", "kidney_right"),
        ("leftkidney", "rightkidney"),
        ("LEFT LUNG", "RIGHT LUNG"),
        ("lung_L", "lung_R"),
        ("l_lung", "r_lung"),
        ("lungL", "lungR"),
        ("Lung_L_1", "Lung_R_1"),
        ("L kidney", "R kidney"),
        ("Kidney (L)", "Kidney (R)"),
        ("Femur.L", "Femur.R"),
        ("lkid", "rkid"),
        ("Lt lung", "Rt lung"),
        ("lh_ball", "rh_ball"),
        ("ctx-lh-bankssts", "ctx-rh-bankssts"),
        ("Left-Hippocampus", "Right-Hippocampus"),
        ("LV", "RV"),
        ("Niere links", "Niere rechts"),
        ("linke Niere", "rechte Niere"),
        ("rein gauche", "rein droit"),
        ("riñón izquierdo", "riñón derecho"),
        ("左腎", "右腎"),
        ("lunglft", "lungrgt"),
        ("A. carotis sin.", "A. carotis dext."),
        ("mama izda", "mama dcha"),
        ("vänster lunga", "höger lunga"),
        ("левое лёгкое", "правое лёгкое"),
        ("왼쪽 폐", "오른쪽 폐"),
        ("좌신장", "우신장"),
        ("левого глаза", "правого глаза"),
        ("肺左", "肺右"),
        ("lunga stângă", "lunga dreaptă"),
        ("płuco lewe", "płuco prawe"),
        ("plíce levá", "plíce pravá"),
        ("sol akciğer", "sağ akciğer"),
        ("vasen munuainen", "oikea munuainen"),
        ("αριστερός πνεύμονας", "δεξιός πνεύμονας"),
        ("bal tüdő", "jobb tüdő"),
        ("الرئة اليسرى", "الرئة اليمنى"),
        ("thận trái", "thận phải"),
        ("ｌｅｆｔ eye", "ｒｉｇｈｔ eye"),
    ],
)
def test_sides_are_found_in_names_whichever_way_they_are_written(left, right):
    for names in ([left, right], [right, "tumor", left]):
        assert paired_classes(names) == (left, right)
        assert side_by_name(names) == f"'{left}' and '{right}' are left and right by their names"


@pytest.mark.parametrize("name", ["left atrium", "Kidney (L)", "lh cortex", "poumon droit", "Left-Putamen"])
def test_a_side_without_the_other_is_one_too(name):
    assert paired_classes([name, "tumor"]) is None
    assert side_by_name([name, "tumor"]) == f"'{name}' is of one side by its name"


@pytest.mark.parametrize(
    "names",
    [
        ["anterior", "posterior"],
        ["leftover", "gall"],
        ["liver", "spleen", "lesion", "rectum"],
        ["class-1", "class-2"],
        ["ET", "TC", "WT"],
        ["vertebrae_L1", "vertebrae_T12"],
        ["optic disc", "optic cup"],
        ["bright", "dark"],
        [],
    ],
)
def test_other_names_have_none(names):
    assert side_by_name(names) is None
