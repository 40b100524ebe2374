//! Distances on the earth (WGS 84).

/// Half axes in metres, and what the flattening is.
const A: f64 = 6_378_137.0;
const B: f64 = 6_356_752.314_245;
const F: f64 = 1.0 / 298.257_223_563;
const ROUNDS_MAX: usize = 200;

/// Metres between two places, each latitude and longitude in degrees, along the ellipsoid
/// (Vincenty's inverse formula); nearly opposite places, for which it does not converge, along a
/// sphere.
pub fn distance(from: (f64, f64), (latitude, longitude): (f64, f64)) -> f64 {
    // Across the date line: whole turns would leave their rounding.
    let turn = match longitude - from.1 {
        east if east > 180.0 => -360.0,
        west if west < -180.0 => 360.0,
        _ => 0.0,
    };
    let to = (latitude, longitude + turn);
    ellipsoid(from, to).unwrap_or_else(|| sphere(from, to))
}

/// Whether a boundary, as the index keeps it, goes around a place (latitude and longitude): polygons
/// parted by `|`, rings by `;`, points `longitude latitude` by commas. Sides are straight on the map,
/// as GeoJSON says (RFC 7946 section 3.1.1); of a ring within another the inside is outside.
pub fn encloses(boundary: &str, (latitude, longitude): (f64, f64)) -> bool {
    boundary.split('|').any(|polygon| {
        // Each ring that goes around it turns inside and outside about.
        let around = polygon
            .split(';')
            .filter(|r| goes_around(r, (latitude, longitude)));
        around.count() % 2 == 1
    })
}

fn goes_around(ring: &str, (y, x): (f64, f64)) -> bool {
    let point = |text: &str| {
        let (longitude, latitude) = text.split_once(' ')?;
        Some((longitude.parse().ok()?, latitude.parse().ok()?))
    };
    let points: Vec<(f64, f64)> = ring.split(',').filter_map(point).collect();
    let Some(mut last) = points.last().copied() else {
        return false;
    };
    let mut inside = false;
    for (x1, y1) in points {
        let (x2, y2) = last;
        // A side that is crossed on the way east.
        if (y1 > y) != (y2 > y) && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1 {
            inside = !inside;
        }
        last = (x1, y1);
    }
    inside
}

fn ellipsoid(from: (f64, f64), to: (f64, f64)) -> Option<f64> {
    let reduced = |degrees: f64| ((1.0 - F) * degrees.to_radians().tan()).atan();
    let (u1, u2) = (reduced(from.0), reduced(to.0));
    let ((sin1, cos1), (sin2, cos2)) = (u1.sin_cos(), u2.sin_cos());
    let between = (to.1 - from.1).to_radians();
    let mut lambda = between;
    for _ in 0..ROUNDS_MAX {
        let (sin_l, cos_l) = lambda.sin_cos();
        let sin_sigma = (cos2 * sin_l).hypot(cos1 * sin2 - sin1 * cos2 * cos_l);
        if sin_sigma == 0.0 {
            return Some(0.0);
        }
        let cos_sigma = sin1 * sin2 + cos1 * cos2 * cos_l;
        let sigma = sin_sigma.atan2(cos_sigma);
        let sin_alpha = cos1 * cos2 * sin_l / sin_sigma;
        let cos2_alpha = 1.0 - sin_alpha * sin_alpha;
        let middle = if cos2_alpha == 0.0 {
            0.0
        } else {
            cos_sigma - 2.0 * sin1 * sin2 / cos2_alpha
        };
        let c = F / 16.0 * cos2_alpha * (4.0 + F * (4.0 - 3.0 * cos2_alpha));
        let inner = middle + c * cos_sigma * (2.0 * middle * middle - 1.0);
        let next = between + (1.0 - c) * F * sin_alpha * (sigma + c * sin_sigma * inner);
        let moved = (next - lambda).abs();
        lambda = next;
        if moved < 1e-12 {
            let u = cos2_alpha * (A * A - B * B) / (B * B);
            let big_a = 1.0 + u / 16384.0 * (4096.0 + u * (-768.0 + u * (320.0 - 175.0 * u)));
            let big_b = u / 1024.0 * (256.0 + u * (-128.0 + u * (74.0 - 47.0 * u)));
            let square = middle * middle;
            let last = cos_sigma * (2.0 * square - 1.0)
                - big_b / 6.0 * middle * (4.0 * sin_sigma * sin_sigma - 3.0) * (4.0 * square - 3.0);
            let delta = big_b * sin_sigma * (middle + big_b / 4.0 * last);
            return Some(B * big_a * (sigma - delta));
        }
    }
    None
}

fn sphere(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (a, b) = (from.0.to_radians(), to.0.to_radians());
    let half = |x: f64| (x / 2.0).sin().powi(2);
    let h = half(b - a) + a.cos() * b.cos() * half((to.1 - from.1).to_radians());
    2.0 * 6_371_008.8 * h.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::{distance, encloses};

    #[test]
    fn places_are_inside_of_boundaries() {
        let square = "10 50,12 50,12 52,10 52,10 50";
        let holed = format!("{square};10.5 50.5,11 50.5,11 51,10.5 51,10.5 50.5");
        let both = format!("{holed}|0 0,1 0,0 1,0 0");
        for (at, of, inside) in [
            ((51.0, 11.0), square, true),
            ((51.0, 9.9), square, false),
            ((49.9, 11.0), square, false),
            ((50.7, 10.7), square, true),
            ((50.7, 10.7), holed.as_str(), false),
            ((51.5, 11.5), holed.as_str(), true),
            ((0.2, 0.2), both.as_str(), true),
            ((0.8, 0.8), both.as_str(), false),
            ((0.0, 0.0), "", false),
        ] {
            assert_eq!(encloses(of, at), inside, "{at:?} {of}");
        }
    }

    #[test]
    fn distances_are_those_of_the_ellipsoid() {
        // Flinders Peak to Buninyong, the example of Geoscience Australia (on GRS 80, which differs
        // by less than a millimetre).
        let peak = (-37.951_033_416, 144.424_867_888);
        let buninyong = (-37.652_821_138, 143.926_495_527);
        assert!((distance(peak, buninyong) - 54_972.271).abs() < 0.01);
        assert!(distance(peak, peak).abs() < 1e-9);
        // A degree along the equator, and half the way round.
        assert!((distance((0.0, 0.0), (0.0, 1.0)) - 111_319.491).abs() < 0.01);
        assert!((distance((0.0, 0.0), (0.0, 180.0)) - 20_003_931.0).abs() < 20_000.0);
        assert!((distance((10.0, 179.5), (10.0, -179.5)) - 109_639.0).abs() < 10.0);
        // The date line is one line.
        assert!(distance((10.0, 180.0), (10.0, -180.0)).abs() < 1e-9);
        assert!(distance((10.0, -180.0), (10.0, 180.0)).abs() < 1e-9);
    }
}
