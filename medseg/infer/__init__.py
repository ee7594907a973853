"""From a prepared scan to labels on the source grid."""
