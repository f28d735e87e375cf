import SystemSupport

/// A failure of the test tools, or of the daemon under test.
package struct HarnessError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// The system's message for an `errno`.
package func describe(_ errorNumber: Int32) -> String {
    String(cString: strerror(errorNumber))
}
