// SamplingFrequencyTests
