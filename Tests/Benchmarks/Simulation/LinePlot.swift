import Foundation

/// Curves in adjacent panels, as SVG. It has no background and uses colours of medium lightness, so it is readable on
/// white and on black.
struct LinePlot {
    struct Curve {
        let name: String
        let color: String
        let points: [(x: Double, y: Double)]
    }

    struct Panel {
        let title: String
        let curves: [Curve]
    }

    var panels: [Panel]
    var xLabel: String
    var yLabel: String
    var xTicks: [Double]
    /// The scale is logarithmic from the first tick to the last.
    var yTicks: [Double]

    private static let grey = "#808890"
    private static let height = 360.0
    private static let (top, bottom, left, between) = (34.0, 74.0, 62.0, 46.0)
    private static let panelWidth = 370.0

    func svg() -> String {
        let width = Self.left + Double(panels.count) * (Self.panelWidth + Self.between)
        var lines = [
            """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Self.text(width)) \(Self.text(Self.height))" \
            font-family="system-ui, sans-serif" font-size="13" fill="\(Self.grey)">
            """
        ]
        for (index, panel) in panels.enumerated() {
            let start = Self.left + Double(index) * (Self.panelWidth + Self.between)
            lines += svg(panel, from: start, isFirst: index == 0)
        }
        let middle = (Self.top + Self.height - Self.bottom) / 2
        lines.append(
            """
            <text transform="translate(16 \(Self.text(middle))) rotate(-90)" text-anchor="middle">\(yLabel)</text>
            """
        )
        lines += legend(width: width)
        return (lines + ["</svg>", ""]).joined(separator: "\n")
    }

    private func svg(_ panel: Panel, from start: Double, isFirst: Bool) -> [String] {
        let (low, high) = (Self.height - Self.bottom, Self.top)
        func x(_ value: Double) -> Double {
            start + (value - xTicks[0]) / (xTicks[xTicks.count - 1] - xTicks[0]) * Self.panelWidth
        }
        func y(_ value: Double) -> Double {
            let range = log(yTicks[yTicks.count - 1] / yTicks[0])
            return low + (high - low) * min(1, max(0, log(value / yTicks[0]) / range))
        }
        var lines = [
            """
            <text x="\(Self.text(start + Self.panelWidth / 2))" y="20" text-anchor="middle" font-weight="600">\
            \(panel.title)</text>
            """
        ]
        for tick in yTicks {
            let place = Self.text(y(tick))
            lines.append(Self.line(start, y(tick), start + Self.panelWidth, y(tick), opacity: 0.35))
            guard isFirst else { continue }
            lines.append(
                """
                <text x="\(Self.text(start - 8))" y="\(place)" dy="4" text-anchor="end">\(Self.tickText(tick))</text>
                """
            )
        }
        for tick in xTicks {
            lines.append(Self.line(x(tick), low, x(tick), low + 5, opacity: 1))
            lines.append(
                """
                <text x="\(Self.text(x(tick)))" y="\(Self.text(low + 20))" text-anchor="middle">\
                \(Self.tickText(tick))</text>
                """
            )
        }
        lines.append(
            """
            <text x="\(Self.text(start + Self.panelWidth / 2))" y="\(Self.text(low + 40))" text-anchor="middle">\
            \(xLabel)</text>
            """
        )
        lines.append(Self.line(start, low, start + Self.panelWidth, low, opacity: 1))
        for curve in panel.curves {
            let points = curve.points.map { "\(Self.text(x($0.x))),\(Self.text(y($0.y)))" }.joined(separator: " ")
            lines.append(
                """
                <polyline fill="none" stroke="\(curve.color)" stroke-width="1.6" stroke-linejoin="round" \
                points="\(points)"/>
                """
            )
        }
        return lines
    }

    /// One legend for all panels, which show the same curves.
    private func legend(width: Double) -> [String] {
        guard let curves = panels.first?.curves else { return [] }
        let step = (width - Self.left) / Double(curves.count)
        let y = Self.height - 12
        return curves.enumerated().flatMap { index, curve in
            let x = Self.left + Double(index) * step
            return [
                """
                <line x1="\(Self.text(x))" y1="\(Self.text(y - 4))" x2="\(Self.text(x + 24))" \
                y2="\(Self.text(y - 4))" stroke="\(curve.color)" stroke-width="3"/>
                """,
                "<text x=\"\(Self.text(x + 30))\" y=\"\(Self.text(y))\">\(curve.name)</text>",
            ]
        }
    }

    private static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, opacity: Double) -> String {
        """
        <line x1="\(text(x1))" y1="\(text(y1))" x2="\(text(x2))" y2="\(text(y2))" stroke="\(grey)" \
        stroke-opacity="\(opacity)"/>
        """
    }

    /// A coordinate, rounded to tenths of a pixel.
    private static func text(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(abs(tenths % 10))"
    }

    /// The label of a tick: `10,000`, `0.05`.
    private static func tickText(_ value: Double) -> String {
        guard value >= 1_000 else { return value == value.rounded() ? "\(Int(value))" : "\(value)" }
        return "\(Int(value) / 1_000)," + String(format: "%03d", Int(value) % 1_000)
    }
}
