// DependencyDemo
