/* SPDX-License-Identifier: MIT */
/** plot/libraries.h - cairo and fontconfig, loaded when the first figure is made
 *
 * Include this in place of their headers. A function that is not in the lists below is not loaded,
 * and does not link. */
#ifndef WTE_PLOT_LIBRARIES_H
#define WTE_PLOT_LIBRARIES_H
#include <cairo-ft.h>
#include <cairo-pdf.h>
#include <cairo.h>
#include <fontconfig/fcfreetype.h>
#include <fontconfig/fontconfig.h>
#include "wte/status.h"

/* clang-format off */
#define WTE__CAIRO(X) \
    X(cairo_arc) \
    X(cairo_clip) \
    X(cairo_close_path) \
    X(cairo_create) \
    X(cairo_curve_to) \
    X(cairo_destroy) \
    X(cairo_fill) \
    X(cairo_fill_preserve) \
    X(cairo_font_face_destroy) \
    X(cairo_font_options_create) \
    X(cairo_font_options_destroy) \
    X(cairo_font_options_set_antialias) \
    X(cairo_font_options_set_hint_metrics) \
    X(cairo_font_options_set_hint_style) \
    X(cairo_ft_font_face_create_for_pattern) \
    X(cairo_ft_scaled_font_lock_face) \
    X(cairo_ft_scaled_font_unlock_face) \
    X(cairo_get_source) \
    X(cairo_image_surface_create) \
    X(cairo_image_surface_get_data) \
    X(cairo_image_surface_get_stride) \
    X(cairo_line_to) \
    X(cairo_matrix_init_identity) \
    X(cairo_matrix_init_scale) \
    X(cairo_move_to) \
    X(cairo_new_sub_path) \
    X(cairo_paint) \
    X(cairo_pattern_set_extend) \
    X(cairo_pattern_set_filter) \
    X(cairo_pdf_surface_create_for_stream) \
    X(cairo_pdf_surface_restrict_to_version) \
    X(cairo_pdf_surface_set_metadata) \
    X(cairo_rectangle) \
    X(cairo_restore) \
    X(cairo_rotate) \
    X(cairo_save) \
    X(cairo_scale) \
    X(cairo_scaled_font_create) \
    X(cairo_scaled_font_destroy) \
    X(cairo_scaled_font_glyph_extents) \
    X(cairo_scaled_font_status) \
    X(cairo_set_antialias) \
    X(cairo_set_dash) \
    X(cairo_set_font_face) \
    X(cairo_set_font_options) \
    X(cairo_set_font_size) \
    X(cairo_set_line_cap) \
    X(cairo_set_line_join) \
    X(cairo_set_line_width) \
    X(cairo_set_source_rgba) \
    X(cairo_set_source_surface) \
    X(cairo_show_text_glyphs) \
    X(cairo_status) \
    X(cairo_status_to_string) \
    X(cairo_stroke) \
    X(cairo_surface_destroy) \
    X(cairo_surface_finish) \
    X(cairo_surface_flush) \
    X(cairo_surface_mark_dirty) \
    X(cairo_surface_set_device_scale) \
    X(cairo_surface_status) \
    X(cairo_surface_write_to_png_stream) \
    X(cairo_translate)

#define WTE__FONTCONFIG(X) \
    X(FcCharSetHasChar) \
    X(FcConfigSubstitute) \
    X(FcDefaultSubstitute) \
    X(FcFontMatch) \
    X(FcFontSetDestroy) \
    X(FcFontSort) \
    X(FcFreeTypeCharIndex) \
    X(FcPatternAddInteger) \
    X(FcPatternAddString) \
    X(FcPatternCreate) \
    X(FcPatternDestroy) \
    X(FcPatternGetBool) \
    X(FcPatternGetCharSet) \
    X(FcPatternGetString) \
    X(FcPatternReference)
/* clang-format on */

/** Load them. Errors: E_UNSUPPORTED (what is missing is named). */
wte_status wte__plot_libraries(wte_error *err);

#define WTE__POINTER(name) __typeof__(&name) name##_;
extern struct wte__libraries {
    WTE__CAIRO(WTE__POINTER)
    WTE__FONTCONFIG(WTE__POINTER)
} wte__lib;
#undef WTE__POINTER

#if !defined(WTE__PLOT_LOADS)
#define cairo_arc                             wte__lib.cairo_arc_
#define cairo_clip                            wte__lib.cairo_clip_
#define cairo_close_path                      wte__lib.cairo_close_path_
#define cairo_create                          wte__lib.cairo_create_
#define cairo_curve_to                        wte__lib.cairo_curve_to_
#define cairo_destroy                         wte__lib.cairo_destroy_
#define cairo_fill                            wte__lib.cairo_fill_
#define cairo_fill_preserve                   wte__lib.cairo_fill_preserve_
#define cairo_font_face_destroy               wte__lib.cairo_font_face_destroy_
#define cairo_font_options_create             wte__lib.cairo_font_options_create_
#define cairo_font_options_destroy            wte__lib.cairo_font_options_destroy_
#define cairo_font_options_set_antialias      wte__lib.cairo_font_options_set_antialias_
#define cairo_font_options_set_hint_metrics   wte__lib.cairo_font_options_set_hint_metrics_
#define cairo_font_options_set_hint_style     wte__lib.cairo_font_options_set_hint_style_
#define cairo_ft_font_face_create_for_pattern wte__lib.cairo_ft_font_face_create_for_pattern_
#define cairo_ft_scaled_font_lock_face        wte__lib.cairo_ft_scaled_font_lock_face_
#define cairo_ft_scaled_font_unlock_face      wte__lib.cairo_ft_scaled_font_unlock_face_
#define cairo_get_source                      wte__lib.cairo_get_source_
#define cairo_image_surface_create            wte__lib.cairo_image_surface_create_
#define cairo_image_surface_get_data          wte__lib.cairo_image_surface_get_data_
#define cairo_image_surface_get_stride        wte__lib.cairo_image_surface_get_stride_
#define cairo_line_to                         wte__lib.cairo_line_to_
#define cairo_matrix_init_identity            wte__lib.cairo_matrix_init_identity_
#define cairo_matrix_init_scale               wte__lib.cairo_matrix_init_scale_
#define cairo_move_to                         wte__lib.cairo_move_to_
#define cairo_new_sub_path                    wte__lib.cairo_new_sub_path_
#define cairo_paint                           wte__lib.cairo_paint_
#define cairo_pattern_set_extend              wte__lib.cairo_pattern_set_extend_
#define cairo_pattern_set_filter              wte__lib.cairo_pattern_set_filter_
#define cairo_pdf_surface_create_for_stream   wte__lib.cairo_pdf_surface_create_for_stream_
#define cairo_pdf_surface_restrict_to_version wte__lib.cairo_pdf_surface_restrict_to_version_
#define cairo_pdf_surface_set_metadata        wte__lib.cairo_pdf_surface_set_metadata_
#define cairo_rectangle                       wte__lib.cairo_rectangle_
#define cairo_restore                         wte__lib.cairo_restore_
#define cairo_rotate                          wte__lib.cairo_rotate_
#define cairo_save                            wte__lib.cairo_save_
#define cairo_scale                           wte__lib.cairo_scale_
#define cairo_scaled_font_create              wte__lib.cairo_scaled_font_create_
#define cairo_scaled_font_destroy             wte__lib.cairo_scaled_font_destroy_
#define cairo_scaled_font_glyph_extents       wte__lib.cairo_scaled_font_glyph_extents_
#define cairo_scaled_font_status              wte__lib.cairo_scaled_font_status_
#define cairo_set_antialias                   wte__lib.cairo_set_antialias_
#define cairo_set_dash                        wte__lib.cairo_set_dash_
#define cairo_set_font_face                   wte__lib.cairo_set_font_face_
#define cairo_set_font_options                wte__lib.cairo_set_font_options_
#define cairo_set_font_size                   wte__lib.cairo_set_font_size_
#define cairo_set_line_cap                    wte__lib.cairo_set_line_cap_
#define cairo_set_line_join                   wte__lib.cairo_set_line_join_
#define cairo_set_line_width                  wte__lib.cairo_set_line_width_
#define cairo_set_source_rgba                 wte__lib.cairo_set_source_rgba_
#define cairo_set_source_surface              wte__lib.cairo_set_source_surface_
#define cairo_show_text_glyphs                wte__lib.cairo_show_text_glyphs_
#define cairo_status                          wte__lib.cairo_status_
#define cairo_status_to_string                wte__lib.cairo_status_to_string_
#define cairo_stroke                          wte__lib.cairo_stroke_
#define cairo_surface_destroy                 wte__lib.cairo_surface_destroy_
#define cairo_surface_finish                  wte__lib.cairo_surface_finish_
#define cairo_surface_flush                   wte__lib.cairo_surface_flush_
#define cairo_surface_mark_dirty              wte__lib.cairo_surface_mark_dirty_
#define cairo_surface_set_device_scale        wte__lib.cairo_surface_set_device_scale_
#define cairo_surface_status                  wte__lib.cairo_surface_status_
#define cairo_surface_write_to_png_stream     wte__lib.cairo_surface_write_to_png_stream_
#define cairo_translate                       wte__lib.cairo_translate_
#define FcCharSetHasChar                      wte__lib.FcCharSetHasChar_
#define FcConfigSubstitute                    wte__lib.FcConfigSubstitute_
#define FcDefaultSubstitute                   wte__lib.FcDefaultSubstitute_
#define FcFontMatch                           wte__lib.FcFontMatch_
#define FcFontSetDestroy                      wte__lib.FcFontSetDestroy_
#define FcFontSort                            wte__lib.FcFontSort_
#define FcFreeTypeCharIndex                   wte__lib.FcFreeTypeCharIndex_
#define FcPatternAddInteger                   wte__lib.FcPatternAddInteger_
#define FcPatternAddString                    wte__lib.FcPatternAddString_
#define FcPatternCreate                       wte__lib.FcPatternCreate_
#define FcPatternDestroy                      wte__lib.FcPatternDestroy_
#define FcPatternGetBool                      wte__lib.FcPatternGetBool_
#define FcPatternGetCharSet                   wte__lib.FcPatternGetCharSet_
#define FcPatternGetString                    wte__lib.FcPatternGetString_
#define FcPatternReference                    wte__lib.FcPatternReference_
#endif
#endif
