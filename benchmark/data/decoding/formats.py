"""The formats of image files that are read, and what helps with those that are not."""

from functools import cache
from importlib.util import find_spec

FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "SGI": (".sgi", ".rgb", ".rgba", ".bw"),
    "QOI": (".qoi",),
    "DIB": (".dib",),
    "PCX": (".pcx",),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
}
"""Pillow's names of the formats that are read, with all suffixes that Pillow knows for them.

They are those of still images that Pillow decodes itself. Icons are left out, since folders of
photos hold them for other reasons."""

WITHOUT_SIGNATURE = ("DIB", "PCX", "TGA")
"""Formats whose files begin with no distinctive bytes, so that the suffix has to name them."""

HEIF_SUFFIXES = (".heic", ".heif", ".hif", ".heics", ".heifs")
HEIF_LIBRARY = "pillow-heif"

CONVERT = "convert to JPEG, PNG or TIFF"
NOT_READ: dict[str, tuple[str, ...]] = {
    "install " + HEIF_LIBRARY: HEIF_SUFFIXES,
    CONVERT: (
        # JPEG XL, JPEG XR; layered, drawn and printed documents
        *(".jxl", ".jxr", ".wdp", ".hdp", ".psd", ".psb", ".xcf", ".kra", ".ora", ".clip", ".cdr"),
        *(".svg", ".svgz", ".eps", ".ps", ".ai", ".pdf", ".wmf", ".emf", ".djvu", ".djv"),
        # scientific, high-dynamic-range and game formats, icons and old formats
        *(".fit", ".fits", ".dcm", ".exr", ".hdr", ".dds", ".ktx", ".ktx2", ".dpx", ".cin", ".mng"),
        *(".jls", ".jng", ".bpg", ".flif", ".pam", ".xbm", ".xpm", ".ras", ".sun", ".pcd", ".pict"),
        *(".ico", ".icns", ".cur", ".pct", ".fpx", ".msp", ".xwd", ".iff", ".lbm", ".pxr", ".czi"),
        *(".afphoto", ".nd2", ".lif", ".vsi", ".svs"),
    ),
    "convert raw camera files to JPEG or TIFF": (
        *(".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf"),
        *(".rw2", ".rwl", ".pef", ".ptx", ".srw", ".x3f", ".3fr", ".fff", ".erf", ".mef", ".mos"),
        *(".mrw", ".dcr", ".kdc", ".iiq", ".gpr", ".raw", ".cap", ".eip"),
    ),
    "extract the frames as PNG files": (
        *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".wmv", ".flv", ".mpg", ".mpeg", ".3gp"),
        *(".mts", ".m2ts", ".ogv", ".vob", ".hevc", ".h264", ".h265", ".mxf"),
    ),
    "unpack the archive": (
        *(".zip", ".tar", ".tgz", ".gz", ".tbz2", ".tbz", ".bz2", ".txz", ".xz", ".zst", ".7z"),
        *(".rar", ".lz4", ".lzma", ".cbz", ".cbr"),
    ),
    "name the file itself with --dataset or --test_images": (".npz",),
    "export its images as PNG files": (
        *(".parquet", ".arrow", ".tfrecord", ".tfrecords", ".h5", ".hdf5", ".lmdb", ".mdb"),
    ),
}
"""What helps, by the suffixes of files with images or videos in them that are not read."""

READ_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"GIF8", ".gif"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"\0\0\0\x0cjP  ", ".jp2"),
)
"""What files that are read begin with, and a suffix under which they are."""
LONGEST_SIGNATURE = 12

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "EPS"),
    (b"%PDF", "PDF"),
    (b"8BPS", "Photoshop"),
    (b"gimp xcf", "GIMP"),
    (b"<svg", "SVG"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance"),
    (b"SIMPLE  =", "FITS"),
    (b"PF\n", "color PFM"),
    (b"P7\n", "PAM"),
    (b"DDS ", "DDS"),
    (b"\0\0\1\0", "icon"),
    (b"\xd7\xcd\xc6\x9a", "WMF"),
)
"""What files that are not read begin with."""

HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2"}
AVIF_BRANDS = {b"avif", b"avis"}


@cache
def has_heif() -> bool:
    """Whether the optional library that reads HEIC files is installed."""
    return find_spec(HEIF_LIBRARY.replace("-", "_")) is not None


@cache
def suffixes() -> frozenset[str]:
    """Return the suffixes of the files that are read, in lower case."""
    known = {suffix for of_format in FORMATS.values() for suffix in of_format}
    return frozenset(known.union(HEIF_SUFFIXES) if has_heif() else known)


def remedy_for(suffix: str) -> str:
    """Return what helps with files of this suffix, or "" if they are read or are not images."""
    suffix = suffix.lower()
    if suffix in suffixes():
        return ""
    return next((remedy for remedy, named in NOT_READ.items() if suffix in named), "")


def suffix_for(head: bytes) -> str:
    """Return the suffix that a file with these first bytes needs to be read, or "" if none helps.

    head: at least LONGEST_SIGNATURE bytes of it, if it has as many.
    """
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return ".webp"
    if head[4:8] == b"ftyp" and head[8:12] in AVIF_BRANDS:
        return ".avif"
    return next((suffix for start, suffix in READ_SIGNATURES if head.startswith(start)), "")


def formats_for(suffix: str) -> list[str]:
    """Return the formats as which a file of this suffix may be read, the most frequent first."""
    named = format_by_suffix(suffix)
    return [name for name in FORMATS if name not in WITHOUT_SIGNATURE or name == named]


def format_by_suffix(suffix: str) -> str | None:
    """Return the format without a signature that a suffix names, None for all other suffixes."""
    return next((name for name in WITHOUT_SIGNATURE if suffix.lower() in FORMATS[name]), None)


def is_heif(head: bytes) -> bool:
    """Whether a file with these first bytes is HEIF, as HEIC files are, and not AVIF."""
    if head[4:8] != b"ftyp":
        return False
    end = int.from_bytes(head[:4], "big")
    brands = {head[8:12]} | {head[i : i + 4] for i in range(16, min(end, len(head)), 4)}
    return bool(brands & HEIF_BRANDS) and not brands & AVIF_BRANDS


def describe_unread(head: bytes) -> str:
    """Return why a file with these first bytes is not read, in a few words."""
    if is_heif(head) and not has_heif():
        return f"a HEIC file; install {HEIF_LIBRARY} to read it"
    start = head.lstrip()
    for signature, name in SIGNATURES:
        if head.startswith(signature) or start.startswith(signature):
            article = "an" if name[0] in "EIO" or name in ("SVG", "XML") else "a"
            return f"{article} {name} file, which is not read; {CONVERT}"
    return "not an image"
