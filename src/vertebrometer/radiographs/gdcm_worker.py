"""Decodes one JPEG image with GDCM, in a process of its own.

Run as a script, with nothing of vertebrometer imported: GDCM is the only free
decoder of lossless and 12-bit JPEG, and damaged images can make it abort the
whole process. The compressed image comes on standard input, the pixels leave
on standard output.
"""

from __future__ import annotations

import sys


def main(syntax: str, photometric: str, *numbers: str) -> int:
    """Decode; `numbers` are rows, columns, samples, bits allocated, bits stored, and 1 where signed."""
    try:
        import gdcm  # noqa: PLC0415
    except ImportError:
        return 3
    rows, cols, samples, allocated, stored, signed = map(int, numbers)
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(sys.stdin.buffer.read())
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((cols, rows, 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation
    image.SetPhotometricInterpretation(kind(kind.GetPIType(photometric)))
    if samples > 1:
        image.SetPlanarConfiguration(0)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    image.SetPixelFormat(gdcm.PixelFormat(samples, allocated, stored, stored - 1, signed))
    # The buffer is bytes disguised as text.
    pixels = image.GetBuffer().encode("utf-8", "surrogateescape")
    sys.stdout.buffer.write(pixels)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
