/// The version of the daemon and of its tools.
package let releaseVersion = "0.1.0"
