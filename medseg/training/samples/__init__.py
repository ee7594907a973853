"""What the network is shown: cases made ready, patches, augmentation."""
