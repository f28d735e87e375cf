// SamplingFrequency
