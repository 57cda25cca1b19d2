"""Which DICOM objects are projection radiographs, from what they say they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vertebrometer.errors import NoImageError, NotARadiographError

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."
MEDIA_DIRECTORY: Final = "1.2.840.10008.1.3.10"
SECONDARY_CAPTURE: Final = _STORAGE + "7"

# PS3.4, annex B.5: the part of the UID after `_STORAGE`; whatever follows it is of the same kind.
_WITHOUT_PIXELS: Final[Mapping[str, str]] = {
    "9": "a waveform",
    "11": "a presentation state",
    "66": "raw data, a segmentation or a registration",
    "67": "a value mapping",
    "68": "a surface model",
    "78": "an eye measurement",
    "79": "an eye report",
    "88": "a structured report",
    "90": "an assessment",
    "104": "an encapsulated document",
    "481.2": "a radiotherapy dose",
    "481.3": "a radiotherapy structure set",
    "481.5": "a radiotherapy plan",
}
_OTHER_IMAGES: Final[Mapping[str, str]] = {
    "1.2": "a mammogram",
    "1.3": "a dental film",
    "2": "a CT slice",
    "3": "an ultrasound image",
    "4": "an MR slice",
    "5": "a nuclear medicine image",
    "6": "an ultrasound image",
    "13.1": "an X-ray volume",
    "14": "an image from inside a vessel",
    "20": "a nuclear medicine image",
    "77": "a photograph in visible light",
    "128": "a PET slice",
    "130": "a PET volume",
    "481.1": "a radiotherapy image",
}
_OTHER_MODALITIES: Final[Mapping[str, str]] = {
    "CT": "a CT slice",
    "MR": "an MR slice",
    "US": "an ultrasound image",
    "IVUS": "an ultrasound image",
    "NM": "a nuclear medicine image",
    "PT": "a PET slice",
    "MG": "a mammogram",
    "IO": "a dental film",
    "PX": "a dental panorama",
    "BDUS": "a bone ultrasound",
    "ES": "an endoscopic image",
    "XC": "a photograph",
    "GM": "a microscope image",
    "SM": "a slide",
    "OP": "an eye image",
    "OPT": "an eye image",
    "OCT": "an optical tomogram",
    "RTIMAGE": "a radiotherapy image",
    "TG": "a thermogram",
}
_MODALITIES_WITHOUT_PIXELS: Final[Mapping[str, str]] = {
    "SR": "a structured report",
    "DOC": "an encapsulated document",
    "PR": "a presentation state",
    "KO": "a list of key objects",
    "SEG": "a segmentation",
    "REG": "a registration",
    "ECG": "a waveform",
    "RTSTRUCT": "a radiotherapy structure set",
    "RTPLAN": "a radiotherapy plan",
    "RTDOSE": "a radiotherapy dose",
}


def holds_no_image(sop_class: str) -> str | None:
    """Return what a SOP class is, in words, when its objects hold no pixels to look at."""
    if sop_class == MEDIA_DIRECTORY:
        return "a directory of other files (DICOMDIR)"
    return _by_prefix(sop_class, _WITHOUT_PIXELS)


def refuse_other_objects(sop_class: str, modality: str) -> None:
    """Refuse what is no projection radiograph; a missing or private class decides nothing."""
    if thing := holds_no_image(sop_class) or _MODALITIES_WITHOUT_PIXELS.get(modality):
        msg = f"this DICOM object is {thing} and holds no film; give the film itself"
        raise NoImageError(msg)
    if thing := _by_prefix(sop_class, _OTHER_IMAGES) or _OTHER_MODALITIES.get(modality):
        msg = f"this is {thing}; a lateral projection radiograph is wanted: CR, DX, DXA or a capture of one"
        raise NotARadiographError(msg)


def _by_prefix(sop_class: str, words: Mapping[str, str]) -> str | None:
    if not sop_class.startswith(_STORAGE):
        return None
    kind = sop_class.removeprefix(_STORAGE)
    return next((word for key, word in words.items() if kind == key or kind.startswith(f"{key}.")), None)
