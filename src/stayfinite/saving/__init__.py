"""What a guarded training saves: files that are whole and finite, or the files that were there."""
