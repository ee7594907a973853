"""What talks to the network: archives over DIMSE and DICOMweb."""
