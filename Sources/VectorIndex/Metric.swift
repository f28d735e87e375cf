/// How two vectors are compared. For every metric, a larger score is better.
package enum Metric: String, Sendable, CaseIterable {
    /// Σ x·y
    case dot
    /// Σ x·y / (‖x‖·‖y‖)
    case cosine
    /// −Σ (x − y)²
    case l2
}
