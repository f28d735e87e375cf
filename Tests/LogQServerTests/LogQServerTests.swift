// LogQServerTests
