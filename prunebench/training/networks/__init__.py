"""Networks that timm lacks, one file for each family. The file is the registration."""
