// SPDX-License-Identifier: Apache-2.0
#include "bench/plot/svg_plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>

namespace nom::bench {
namespace {

// In SVG user units.
constexpr double kWidth = 760;  // Of a chart of bars; a plot makes room for its legend.
constexpr double kHeight = 460;
constexpr double kLeft = 80;
constexpr double kInsideEnd = 570;  // Right of it is a plot's legend.
constexpr double kLetter = 7.5;     // The width of a common one.
constexpr double kTop = 44;
constexpr double kBottom = 60;
constexpr double kLegendLine = 20;

constexpr int kTicksWanted = 6;
// More points than this make a line of markers.
constexpr size_t kMarkedPointsMax = 40;

// Okabe and Ito: told apart by people who do not see all colours.
constexpr std::array<const char*, 8> kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                 "#e69f00", "#56b4e9", "#000000", "#999999"};

std::string Number(double value, const char* format) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string Place(double value) { return Number(value, "%.2f"); }

// "2k", "0.5", "10M": short, and exact for ticks, which are round.
std::string TickLabel(double value) {
  const double size = std::abs(value);
  if (size >= 1e15 || (size > 0 && size < 1e-4)) return Number(value, "%.3g");
  constexpr std::array<std::pair<double, const char*>, 4> kSuffixes = {
      {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}}};
  for (const auto& [unit, suffix] : kSuffixes) {
    if (size >= unit) return Number(value / unit, "%.6g") + suffix;
  }
  return Number(value, "%.6g");
}

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return escaped;
}

// From values to places along an axis.
class Ruler {
 public:
  Ruler(const Axis& axis, const std::vector<double>& values, double begin, double end)
      : is_log_(axis.scale == Scale::kLog), begin_(begin), end_(end) {
    double low = std::numeric_limits<double>::infinity();
    double high = -low;
    for (double value : values) {
      if (!CanShow(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
    if (low > high) low = high = 1;
    if (!is_log_) low = std::min(low, 0.0);
    if (axis.low.has_value() && CanShow(*axis.low)) low = *axis.low;
    if (axis.high.has_value() && CanShow(*axis.high)) high = *axis.high;
    low_ = Scaled(low);
    high_ = Scaled(high);
    if (high_ <= low_) high_ = low_ + 1;
    if (!axis.high.has_value()) high_ += (high_ - low_) * 0.03;
    if (!axis.low.has_value() && (is_log_ || low_ < 0)) low_ -= (high_ - low_) * 0.03;
  }

  bool CanShow(double value) const { return std::isfinite(value) && (!is_log_ || value > 0); }

  double At(double value) const {
    return begin_ + (end_ - begin_) * (Scaled(value) - low_) / (high_ - low_);
  }

  std::vector<double> Ticks() const { return is_log_ ? LogTicks() : LinearTicks(); }

 private:
  double Scaled(double value) const { return is_log_ ? std::log10(value) : value; }

  std::vector<double> LinearTicks() const {
    const double rough = (high_ - low_) / kTicksWanted;
    const double power = std::pow(10, std::floor(std::log10(rough)));
    double step = 10 * power;
    for (double factor : {5, 2, 1}) {
      if (factor * power >= rough) step = factor * power;
    }
    std::vector<double> ticks;
    for (double i = std::ceil(low_ / step); i * step <= high_; ++i) {
      ticks.push_back(i == 0 ? 0 : i * step);  // Never "-0".
    }
    return ticks;
  }

  // Powers of ten; where few of them are in sight also twos and fives, where many are only some.
  std::vector<double> LogTicks() const {
    const double decades = high_ - low_;
    const int step = std::max(1, static_cast<int>(std::ceil(decades / kTicksWanted)));
    std::vector<double> ticks;
    for (int power = static_cast<int>(std::floor(low_ / step)) * step; power <= high_;
         power += step) {
      for (double factor : {1, 2, 5}) {
        const double tick = factor * std::pow(10, power);
        const double place = std::log10(tick);
        if (factor > 1 && decades > kTicksWanted / 2.0) break;
        if (place >= low_ && place <= high_) ticks.push_back(tick);
      }
    }
    return ticks;
  }

  bool is_log_;
  double begin_;
  double end_;
  double low_ = 0;
  double high_ = 1;
};

constexpr char kGrid[] = "stroke=\"#dddddd\"";
constexpr char kFrame[] = "stroke=\"#333333\"";

// A page of SVG that grows.
class Page {
 protected:
  void Begin(double width, double height, const std::string& title, double title_x) {
    out_ << "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " << width << ' ' << height
         << "\" font-family=\"sans-serif\" font-size=\"13\">\n"
         << "<rect width=\"" << width << "\" height=\"" << height << "\" fill=\"#ffffff\"/>\n";
    Text(title_x, kTop - 18, "start", title, "font-size=\"15\" font-weight=\"bold\"");
  }

  std::string End() {
    out_ << "</svg>\n";
    return out_.str();
  }

  void Text(double x, double y, const char* anchor, const std::string& text,
            const char* attributes = "") {
    out_ << "<text x=\"" << Place(x) << "\" y=\"" << Place(y) << "\" text-anchor=\"" << anchor
         << "\" " << attributes << ">" << Escaped(text) << "</text>\n";
  }

  void Line(double x1, double y1, double x2, double y2, const char* attributes) {
    out_ << "<line x1=\"" << Place(x1) << "\" y1=\"" << Place(y1) << "\" x2=\"" << Place(x2)
         << "\" y2=\"" << Place(y2) << "\" " << attributes << "/>\n";
  }

  void Rectangle(double x, double y, double width, double height, const char* colour) {
    out_ << "<rect x=\"" << Place(x) << "\" y=\"" << Place(y) << "\" width=\"" << Place(width)
         << "\" height=\"" << Place(height) << "\" fill=\"" << colour << "\"/>\n";
  }

  std::ostringstream out_;
};

class Drawing : Page {
 public:
  explicit Drawing(const Plot& plot)
      : plot_(plot),
        x_(plot.x, Values(&Point::x), kLeft, kInsideEnd),
        y_(plot.y, Values(&Point::y), kHeight - kBottom, kTop) {}

  std::string Draw() {
    size_t letters = 16;
    for (const Series& series : plot_.series) letters = std::max(letters, series.name.size());
    Begin(kInsideEnd + 50 + kLetter * static_cast<double>(letters), kHeight, plot_.title, kLeft);
    out_ << "<clipPath id=\"inside\"><rect x=\"" << kLeft << "\" y=\"" << kTop << "\" width=\""
         << kInsideEnd - kLeft << "\" height=\"" << kHeight - kTop - kBottom << "\"/></clipPath>\n";
    DrawAxes();
    double legend_y = kTop + 8;
    for (size_t i = 0; i < plot_.series.size(); ++i) DrawSeries(i, legend_y);
    return End();
  }

 private:
  std::vector<double> Values(double Point::*member) const {
    std::vector<double> values;
    for (const Series& series : plot_.series) {
      for (const Point& point : series.points) values.push_back(point.*member);
    }
    return values;
  }

  void DrawAxes() {
    const double bottom = kHeight - kBottom;
    const double right = kInsideEnd;
    for (double tick : x_.Ticks()) {
      Line(x_.At(tick), kTop, x_.At(tick), bottom, kGrid);
      Text(x_.At(tick), bottom + 18, "middle", TickLabel(tick));
    }
    for (double tick : y_.Ticks()) {
      Line(kLeft, y_.At(tick), right, y_.At(tick), kGrid);
      Text(kLeft - 8, y_.At(tick) + 4, "end", TickLabel(tick));
    }
    Line(kLeft, bottom, right, bottom, kFrame);
    Line(kLeft, kTop, kLeft, bottom, kFrame);
    Text((kLeft + right) / 2, kHeight - 16, "middle", plot_.x.label);
    const std::string turn = "transform=\"rotate(-90 20 " + Place((kTop + bottom) / 2) + ")\"";
    Text(20, (kTop + bottom) / 2, "middle", plot_.y.label, turn.c_str());
  }

  void DrawSeries(size_t index, double& legend_y) {
    const Series& series = plot_.series[index];
    const std::string colour = kColours[index % kColours.size()];
    const std::string stroke = "stroke=\"" + colour + "\" stroke-width=\"2\" fill=\"none\"" +
                               (series.is_dashed ? " stroke-dasharray=\"6 4\"" : "");
    std::vector<Point> places;
    for (const Point& point : series.points) {
      if (x_.CanShow(point.x) && y_.CanShow(point.y)) {
        places.push_back({x_.At(point.x), y_.At(point.y)});
      }
    }
    out_ << "<g clip-path=\"url(#inside)\"><polyline " << stroke << " points=\"";
    for (const Point& place : places) out_ << Place(place.x) << ',' << Place(place.y) << ' ';
    out_ << "\"/>";
    if (!series.is_dashed && places.size() <= kMarkedPointsMax) {
      for (const Point& place : places) {
        out_ << "<circle cx=\"" << Place(place.x) << "\" cy=\"" << Place(place.y)
             << "\" r=\"3\" fill=\"" << colour << "\"/>";
      }
    }
    out_ << "</g>\n";
    if (series.name.empty()) return;
    const double x = kInsideEnd + 14;
    Line(x, legend_y, x + 22, legend_y, stroke.c_str());
    Text(x + 28, legend_y + 4, "start", series.name);
    legend_y += kLegendLine;
  }

  const Plot& plot_;
  Ruler x_;
  Ruler y_;
};

class Bars : Page {
 public:
  explicit Bars(const BarChart& chart)
      : chart_(chart),
        bottom_(kTop + static_cast<double>(chart.groups.size()) *
                           (kBarHeight * static_cast<double>(chart.series.size()) + kGroupGap)),
        ruler_(WithRoom(chart.values, Values()), Values(), kBarsLeft, kWidth - kBarsRight) {}

  std::string Draw() {
    const bool has_legend = chart_.series.size() > 1;
    const double legend = has_legend ? kLegendLine + 8 : 0;
    Begin(kWidth, bottom_ + kBottom + legend, chart_.title, 20);
    for (double tick : ruler_.Ticks()) {
      Line(ruler_.At(tick), kTop, ruler_.At(tick), bottom_, kGrid);
      Text(ruler_.At(tick), bottom_ + 18, "middle", TickLabel(tick));
    }
    Text((kBarsLeft + kWidth - kBarsRight) / 2, bottom_ + 44, "middle", chart_.values.label);
    double y = kTop + kGroupGap / 2;
    for (const BarGroup& group : chart_.groups) {
      const double height = kBarHeight * static_cast<double>(chart_.series.size());
      Text(kBarsLeft - 10, y + height / 2 + 4, "end", group.label);
      for (size_t i = 0; i < chart_.series.size() && i < group.values.size(); ++i) {
        DrawBar(group.values[i], y + kBarHeight * static_cast<double>(i),
                kColours[i % kColours.size()]);
      }
      y += height + kGroupGap;
    }
    Line(Origin(), kTop, Origin(), bottom_, kFrame);
    double x = 20;
    for (size_t i = 0; has_legend && i < chart_.series.size(); ++i) {
      Rectangle(x, bottom_ + 60, 14, 12, kColours[i % kColours.size()]);
      Text(x + 20, bottom_ + 71, "start", chart_.series[i]);
      x += 50 + kLetterWidth * static_cast<double>(chart_.series[i].size());
    }
    return End();
  }

 private:
  static constexpr double kBarsLeft = 220;  // Room for the groups' labels,
  static constexpr double kBarsRight = 60;  // and for the last number.
  static constexpr double kBarHeight = 15;
  static constexpr double kGroupGap = 10;
  static constexpr double kLetterWidth = 7;

  // Numbers of bars to the left need room too.
  static Axis WithRoom(Axis axis, const std::vector<double>& values) {
    double low = 0;
    double high = 0;
    for (double value : values) {
      if (!std::isfinite(value)) continue;
      low = std::min(low, value);
      high = std::max(high, value);
    }
    if (low < 0 && !axis.low.has_value()) axis.low = low - (high - low) * 0.12;
    return axis;
  }

  std::vector<double> Values() const {
    std::vector<double> values;
    for (const BarGroup& group : chart_.groups) {
      values.insert(values.end(), group.values.begin(), group.values.end());
    }
    return values;
  }

  // Where bars begin: at 0, or where the axis does.
  double Origin() const {
    const double zero = ruler_.CanShow(0) ? ruler_.At(0) : kBarsLeft;
    return std::clamp(zero, kBarsLeft, kWidth - kBarsRight);
  }

  void DrawBar(double value, double y, const char* colour) {
    if (!ruler_.CanShow(value)) return;
    const double end = std::clamp(ruler_.At(value), kBarsLeft, kWidth - kBarsRight);
    Rectangle(std::min(end, Origin()), y + 1, std::abs(end - Origin()), kBarHeight - 2, colour);
    const std::string format = "%." + std::to_string(chart_.digits) + "f";
    const bool is_left = end < Origin();
    std::string number = Number(value, format.c_str());
    // Never "-0.00".
    if (number.find_first_not_of("-0.") == std::string::npos && number.front() == '-') {
      number.erase(0, 1);
    }
    Text(is_left ? end - 4 : end + 4, y + kBarHeight - 4, is_left ? "end" : "start", number,
         "font-size=\"11\"");
  }

  const BarChart& chart_;
  double bottom_;
  Ruler ruler_;
};

bool WriteText(const std::string& text, const std::string& path) {
  std::ofstream file(path);
  file << text;
  file.close();
  return !file.fail();
}

}  // namespace

std::string ToSvg(const Plot& plot) { return Drawing(plot).Draw(); }

std::string ToSvg(const BarChart& chart) { return Bars(chart).Draw(); }

bool WriteSvg(const Plot& plot, const std::string& path) { return WriteText(ToSvg(plot), path); }

bool WriteSvg(const BarChart& chart, const std::string& path) {
  return WriteText(ToSvg(chart), path);
}

std::optional<PowerLaw> FitPowerLaw(const std::vector<Point>& points) {
  double count = 0;
  double mean_x = 0;
  double mean_y = 0;
  for (const Point& point : points) {
    if (!(point.x > 0 && point.y > 0)) continue;
    ++count;
    mean_x += (std::log(point.x) - mean_x) / count;
    mean_y += (std::log(point.y) - mean_y) / count;
  }
  double square = 0;
  double product = 0;
  for (const Point& point : points) {
    if (!(point.x > 0 && point.y > 0)) continue;
    square += (std::log(point.x) - mean_x) * (std::log(point.x) - mean_x);
    product += (std::log(point.x) - mean_x) * (std::log(point.y) - mean_y);
  }
  if (!(square > 0)) return std::nullopt;
  const double exponent = product / square;
  return PowerLaw{std::exp(mean_y - exponent * mean_x), exponent};
}

}  // namespace nom::bench
