import Foundation
import SystemSupport

/// A new directory for one test. It is removed when the test releases it.
///
/// Its path is short, because the path of a Unix-domain socket in it may have only about a hundred bytes.
package final class TemporaryDirectory: Sendable {
    package let path: String

    /// Creates the directory in `parent`.
    package init(in parent: String = "/tmp") throws {
        var template = Array((parent + "/logqd-test-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessError("mkdtemp in \(parent): \(describe(errno))") }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}
