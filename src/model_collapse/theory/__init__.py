"""The theory, simulated: resampling (`discrete`), refitting a Gaussian (`gaussian`), least squares (`regression`)."""
