import ItemStore
import WireProtocol

extension WireError {
    init(_ error: StoreError) {
        self.init(WireErrorCode(error.code), error.message)
    }

    /// The error of a query with a time limit of `timeoutMilliseconds`.
    init(_ error: StoreError, within timeoutMilliseconds: Int) {
        guard error.code == .timeout else {
            self.init(error)
            return
        }
        let advice = "try again later, or with a longer timeout_ms="
        self.init(.timeout, "got no answer within \(timeoutMilliseconds) ms, nothing is returned: \(advice)")
    }
}

extension WireErrorCode {
    init(_ code: StoreError.Code) {
        switch code {
        case .noCollection: self = .noCollection
        case .noItem: self = .noItem
        case .exists: self = .exists
        case .dimension: self = .dimension
        case .badVector: self = .badVector
        case .badRequest: self = .badRequest
        case .step: self = .step
        case .limit: self = .limit
        case .busy: self = .busy
        case .timeout: self = .timeout
        case .full: self = .full
        case .readOnly: self = .readOnly
        case .corrupt: self = .corrupt
        case .draining: self = .draining
        case .unknownSchema, .directoryInUse, .internalError: self = .internalError
        }
    }
}
