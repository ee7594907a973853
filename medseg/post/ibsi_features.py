"""Features of radiomics by the names of MIRP, with code and name in the manual of the IBSI.

Codes are those of the Image Biomarker Standardization Initiative's reference manual (arXiv:1612.07003), which tell
features of like names in different families apart.
"""

from __future__ import annotations

from typing import NamedTuple


class Feature(NamedTuple):
    """What a feature is called."""

    family: str
    name: str
    code: str


# Family, and a line for each of its features: what MIRP calls it, the IBSI's code, the IBSI's name.
FAMILIES = {
    "morph": (
        "morphology",
        """
        volume RNU0 volume (mesh)
        vol_approx YEKZ volume (voxel counting)
        area_mesh C0JK surface area (mesh)
        av 2PR5 surface to volume ratio
        comp_1 SKGS compactness 1
        comp_2 BQWJ compactness 2
        sph_dispr KRCK spherical disproportion
        sphericity QCFX sphericity
        asphericity 25C7 asphericity
        com KLMA center of mass shift
        integ_int 99N0 integrated intensity
        diam L0JK maximum 3D diameter
        vol_dens_conv_hull R3ER volume density (convex hull)
        area_dens_conv_hull 7T7F area density (convex hull)
        vol_dens_aabb PBX1 volume density (axis-aligned bounding box)
        area_dens_aabb R59B area density (axis-aligned bounding box)
        pca_maj_axis TDIC major axis length
        pca_min_axis P9VJ minor axis length
        pca_least_axis 7J51 least axis length
        pca_elongation Q3CK elongation
        pca_flatness N17B flatness
        vol_dens_aee 6BDE volume density (approximate enclosing ellipsoid)
        area_dens_aee RDD2 area density (approximate enclosing ellipsoid)
        moran_i N365 Moran's I index
        geary_c NPT7 Geary's C measure
        """,
    ),
    "loc": (
        "local intensity",
        """
        peak_loc VJGA local intensity peak
        peak_glob 0F91 global intensity peak
        """,
    ),
    "stat": (
        "intensity statistics",
        """
        mean Q4LE mean
        var ECT3 variance
        skew KE2A skewness
        kurt IPH6 kurtosis
        median Y12H median
        min 1GSF minimum
        p10 QG58 10th percentile
        p90 8DWT 90th percentile
        max 84IY maximum
        iqr SALO interquartile range
        range 2OJQ range
        mad 4FUA mean absolute deviation
        rmad 1128 robust mean absolute deviation
        medad N72L median absolute deviation
        cov 7TET coefficient of variation
        qcod 9S40 quartile coefficient of dispersion
        energy N8CA energy
        rms 5ZWQ root mean square
        """,
    ),
    "ih": (
        "intensity histogram",
        """
        mean X6K6 mean
        var CH89 variance
        skew 88K1 skewness
        kurt C3I7 kurtosis
        median WIFQ median
        min 1PR8 minimum
        p10 GPMT 10th percentile
        p90 OZ0C 90th percentile
        max 3NCY maximum
        mode AMMC mode
        iqr WR0O interquartile range
        range 5Z3W range
        mad D2ZX mean absolute deviation
        rmad WRZB robust mean absolute deviation
        medad 4RNL median absolute deviation
        cov CWYJ coefficient of variation
        qcod SLWD quartile coefficient of dispersion
        entropy TLU2 entropy
        uniformity BJ5W uniformity
        max_grad_g 8E6O gray level of the maximum gradient
        max_grad 12CE maximum gradient
        min_grad_g RHQZ gray level of the minimum gradient
        min_grad VQB3 minimum gradient
        """,
    ),
    "ivh": (
        "intensity-volume histogram",
        """
        v10 BC2M volume at intensity fraction 0.10
        v25 BC2M volume at intensity fraction 0.25
        v50 BC2M volume at intensity fraction 0.50
        v75 BC2M volume at intensity fraction 0.75
        v90 BC2M volume at intensity fraction 0.90
        i10 GBPN intensity at volume fraction 0.10
        i25 GBPN intensity at volume fraction 0.25
        i50 GBPN intensity at volume fraction 0.50
        i75 GBPN intensity at volume fraction 0.75
        i90 GBPN intensity at volume fraction 0.90
        diff_v10_v90 DDTU difference of volume fractions at intensity fractions 0.10 and 0.90
        diff_v25_v75 DDTU difference of volume fractions at intensity fractions 0.25 and 0.75
        diff_i10_i90 CNV2 difference of intensities at volume fractions 0.10 and 0.90
        diff_i25_i75 CNV2 difference of intensities at volume fractions 0.25 and 0.75
        """,
    ),
    "cm": (
        "gray level co-occurrence",
        """
        joint_max GYBY joint maximum
        joint_avg 60VM joint average
        joint_var UR99 joint variance
        joint_entr TU9B joint entropy
        diff_avg TF7R difference average
        diff_var D3YU difference variance
        diff_entr NTRS difference entropy
        sum_avg ZGXS sum average
        sum_var OEEB sum variance
        sum_entr P6QZ sum entropy
        energy 8ZQL angular second moment
        contrast ACUI contrast
        dissimilarity 8S9J dissimilarity
        inv_diff IB1Z inverse difference
        inv_diff_norm NDRX normalized inverse difference
        inv_diff_mom WF0Z inverse difference moment
        inv_diff_mom_norm 1QCO normalized inverse difference moment
        inv_var E8JP inverse variance
        corr NI2N correlation
        auto_corr QWB0 autocorrelation
        clust_tend DG8W cluster tendency
        clust_shade 7NFM cluster shade
        clust_prom AE86 cluster prominence
        info_corr1 R8DG information correlation 1
        info_corr2 JN9H information correlation 2
        """,
    ),
    "rlm": (
        "gray level run length",
        """
        sre 22OV short runs emphasis
        lre W4KF long runs emphasis
        lgre V3SW low gray level run emphasis
        hgre G3QZ high gray level run emphasis
        srlge HTZT short run low gray level emphasis
        srhge GD3A short run high gray level emphasis
        lrlge IVPO long run low gray level emphasis
        lrhge 3KUM long run high gray level emphasis
        glnu R5YN gray level non-uniformity
        glnu_norm OVBL normalized gray level non-uniformity
        rlnu W92Y run length non-uniformity
        rlnu_norm IC23 normalized run length non-uniformity
        r_perc 9ZK5 run percentage
        gl_var 8CE5 gray level variance
        rl_var SXLW run length variance
        rl_entr HJ9O run entropy
        """,
    ),
    "szm": (
        "gray level size zone",
        """
        sze P001 small zone emphasis
        lze 48P8 large zone emphasis
        lgze XMSY low gray level zone emphasis
        hgze 5GN9 high gray level zone emphasis
        szlge 5RAI small zone low gray level emphasis
        szhge HW1V small zone high gray level emphasis
        lzlge YH51 large zone low gray level emphasis
        lzhge J17V large zone high gray level emphasis
        glnu JNSA gray level non-uniformity
        glnu_norm Y1RO normalized gray level non-uniformity
        zsnu 4JP3 zone size non-uniformity
        zsnu_norm VB3A normalized zone size non-uniformity
        z_perc P30P zone percentage
        gl_var BYLV gray level variance
        zs_var 3NSA zone size variance
        zs_entr GU8N zone size entropy
        """,
    ),
    "dzm": (
        "gray level distance zone",
        """
        sde 0GBI small distance emphasis
        lde MB4I large distance emphasis
        lgze S1RA low gray level zone emphasis
        hgze K26C high gray level zone emphasis
        sdlge RUVG small distance low gray level emphasis
        sdhge DKNJ small distance high gray level emphasis
        ldlge A7WM large distance low gray level emphasis
        ldhge KLTH large distance high gray level emphasis
        glnu VFT7 gray level non-uniformity
        glnu_norm 7HP3 normalized gray level non-uniformity
        zdnu V294 zone distance non-uniformity
        zdnu_norm IATH normalized zone distance non-uniformity
        z_perc VIWW zone percentage
        gl_var QK93 gray level variance
        zd_var 7WT1 zone distance variance
        zd_entr GBDU zone distance entropy
        """,
    ),
    "ngt": (
        "neighborhood gray tone difference",
        """
        coarseness QCDE coarseness
        contrast 65HE contrast
        busyness NQ30 busyness
        complexity HDEZ complexity
        strength 1X9X strength
        """,
    ),
    "ngl": (
        "neighboring gray level dependence",
        """
        lde SODN low dependence emphasis
        hde IMOQ high dependence emphasis
        lgce TL9H low gray level count emphasis
        hgce OAE7 high gray level count emphasis
        ldlge EQ3F low dependence low gray level emphasis
        ldhge JA6D low dependence high gray level emphasis
        hdlge NBZI high dependence low gray level emphasis
        hdhge 9QMG high dependence high gray level emphasis
        glnu FP8K gray level non-uniformity
        glnu_norm 5SPA normalized gray level non-uniformity
        dcnu Z87G dependence count non-uniformity
        dcnu_norm OKJI normalized dependence count non-uniformity
        dc_perc 6XV8 dependence count percentage
        gl_var 1PFV gray level variance
        dc_var DNX2 dependence count variance
        dc_entr FCBV dependence count entropy
        dc_energy CAS9 dependence count energy
        """,
    ),
}


def _features() -> dict[str, Feature]:
    found = {}
    for prefix, (family, lines) in FAMILIES.items():
        for line in lines.strip().splitlines():
            own, code, name = line.split(maxsplit=2)
            found[f"{prefix}_{own}"] = Feature(family, name, code)
    return found


FEATURES = _features()


def feature_of(column: str) -> Feature | None:
    """Return the feature that a column of MIRP holds; None where it is none of the IBSI's.

    Behind a feature's name MIRP puts how its matrices were made, such as ``_d1_3d_v_mrg``.

    >>> feature_of("cm_joint_max_d1_3d_v_mrg").code
    'GYBY'
    """
    parts = column.split("_")
    for end in range(len(parts), 1, -1):
        found = FEATURES.get("_".join(parts[:end]))
        if found is not None:
            return found
    return None
