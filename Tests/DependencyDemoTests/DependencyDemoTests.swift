// DependencyDemoTests
