#!/bin/sh
# Installs what the tests marked `pacs` run against: an archive, DICOM tools and a PostgreSQL server,
# all of them Debian's. Without them those tests are skipped.
set -eu

if ! command -v apt-get >/dev/null 2>&1; then
  echo "install-pacs-tools: this needs apt-get (Debian or Ubuntu); install orthanc with its DICOMweb and GDCM" \
    "plugins, dcmtk, dicom3tools, postgresql and openssl by hand" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "install-pacs-tools: run it as root: sudo $0" >&2
  exit 1
fi

# The archive must not start as a service: the tests start their own, on free ports.
policy=/usr/sbin/policy-rc.d
made_policy=no
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod 755 "$policy"
  made_policy=yes
fi
cleanup() { if [ "$made_policy" = yes ]; then rm -f "$policy"; fi; }
trap cleanup EXIT

export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends \
  orthanc orthanc-dicomweb orthanc-gdcm dcmtk dicom3tools postgresql openssl
