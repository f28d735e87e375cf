// LogQClientTests
