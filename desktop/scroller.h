/* A page that grows at its end. Who stands at the end stays there; who reads further up is not moved, and is offered a
 * button that leads back to the end. */
#ifndef WE_DESKTOP_SCROLLER_H
#define WE_DESKTOP_SCROLLER_H

#include <adwaita.h>

#define WE_TYPE_SCROLLER (we_scroller_get_type())
G_DECLARE_FINAL_TYPE(WeScroller, we_scroller, WE, SCROLLER, GtkWidget)

GtkWidget *we_scroller_new(GtkWidget *child);
/* To the end, and stays there. */
void we_scroller_follow(WeScroller *scroller);
/* What stands above the part that is seen is about to grow: the part stays where it is. */
void we_scroller_keep_place(WeScroller *scroller);
/* Scrolls so that a widget within the child is seen. */
void we_scroller_show(WeScroller *scroller, GtkWidget *widget);
GtkAdjustment *we_scroller_adjustment(WeScroller *scroller);

#endif
