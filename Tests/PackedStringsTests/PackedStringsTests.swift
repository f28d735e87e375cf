// PackedStringsTests
