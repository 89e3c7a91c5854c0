SELECT max(version) FROM catalog
