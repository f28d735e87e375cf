import Foundation
import LogQClient
import TestSupport

extension DaemonProcess {
    /// A daemon with the settings of this process's environment.
    static func start(in directory: String, flags: [String] = []) throws -> DaemonProcess {
        let environment = ProcessInfo.processInfo.environment
        return try DaemonProcess(directory: directory, options: Options(flags: flags, environment: environment))
    }

    func client() async throws -> LogQClient {
        try await LogQClient.connect(unixSocketPath: socketPath)
    }
}
